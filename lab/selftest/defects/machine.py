"""Defects of what a machine is: its kind of processor, its memory, its address, its firewall's unit."""

from __future__ import annotations

from functools import partial
from shlex import quote
from typing import Any

from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Breakage, breakage

_machine = partial(breakage, layer="node")
FEW_KIB = 1048576
"""Memory of a machine that is too small for a master (kubeadm wants 1700 MiB)."""
LEFT = "defect_reload"
"""Table of the packet filter that a reload of the firewall leaves behind."""


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second = lab.masters[:2]
    return [
        _machine(
            name="another-architecture",
            title="the machine is of another architecture than the inventory says",
            row="L1-01",
            host=lab.balancer,
            # what a 64-bit kernel tells programs of its 32-bit sibling: i686, armv8l
            says=r"architecture: expected .*; seen: (i\d86|armv)",
            **_personality(),
        ),
        _machine(
            name="too-little-memory",
            title="a master has less memory than a control plane needs",
            row="L1-30",
            host=first,
            says="memory: expected at least 1700 MiB; seen: 1024 MiB",
            reddens=("P1-15",),
            **_memory(),
        ),
        _machine(
            name="address-without-its-network",
            title="the machine's address stands alone, without the LAN's length",
            row="L1-11",
            host=lab.balancer,
            says=rf"address with its network: expected {_written(lab)}; seen: .*/32",
            reddens=("P1-15",),
            **_alone(lab),
        ),
        _machine(
            name="reload-adds-rules",
            title="a reload of the firewall loads somebody's rules as well",
            row="L1-21",
            host=second,
            says=f"rules of others that the reload changed.*{LEFT}",
            reddens=("P1-15", "P1-05"),
            **_reload(),
        ),
    ]


def _written(lab: Inventory) -> str:
    """The balancer's address with the LAN's length, as a pattern."""
    return str(lab.interface(lab.balancer)).replace(".", r"\.")


def _personality() -> dict[str, Any]:
    """Damage and repair of Python, which is started as a 32-bit machine's."""
    kept, program = f"{KEPT}/python3", "f=$(readlink -f /usr/bin/python3)"
    started = f'#!/bin/sh\nexec setarch linux32 {kept} "$@"\n'
    return {
        "damage": f"mkdir -p {KEPT} && {program} && cp -p $f {kept}.part && mv {kept}.part {kept}"
        f" && printf %s {quote(started)} > $f.new && chmod 755 $f.new && mv $f.new $f",
        "repair": f"test ! -e {kept} || {{ {program} && cp -p {kept} $f.new && mv $f.new $f && rm {kept}; }}",
        "touches": ("file /usr/bin/python3",),
    }


def _memory() -> dict[str, Any]:
    """Damage and repair of what the kernel tells of the machine's memory."""
    told, fake = "/proc/meminfo", f"{KEPT}/meminfo"
    line = f"MemTotal:        {FEW_KIB} kB"
    return {
        "damage": f"mkdir -p {KEPT} && sed 's/^MemTotal:.*/{line}/' {told} > {fake}"
        f" && mount --bind {fake} {told}",
        # what the machine's host has mounted there stays
        "repair": f"while grep -q '^{line}' {told}; do umount {told}; done; rm -f {fake}",
        "touches": (f"file {told}",),
    }


def _alone(lab: Inventory) -> dict[str, Any]:
    """Damage and repair of an address that gets another length; it stays on the machine all the time."""
    own, lan = lab.interface(lab.balancer), lab.network.lan
    short, beside = f"{own.ip}/32", f"{lan} metric 4321"
    link = f"on=\"dev $(ip -4 -o address show to {own.ip} | awk 'NR == 1 {{ print $2 }}')\""
    has, out = f"ip -4 -o address show to {own.ip} | grep -q", "ip route show default | grep -q ."
    back = f"{{ {has} ' {own} ' || ip address add {own} $on; }} && ip address delete {short} $on"
    return {
        # the way into the LAN goes with the long address, and the way out needs it
        "damage": f"{link} && ip address add {short} $on && ip route add {beside} $on"
        f" && ip address delete {own} $on"
        f" && {{ {out} || ip route add default via {lab.network.gateway} $on; }}",
        "repair": f"! {has} ' {short} '"
        f" || {{ {link} && {back}; ip route delete {beside} $on 2>/dev/null || true; }}",
        "touches": ("addresses of eth0",),
    }


def _reload() -> dict[str, Any]:
    """Damage and repair of the firewall's unit."""
    folder = "/run/systemd/system/nftables.service.d"
    part = f"[Service]\nExecReload=/usr/sbin/nft add table ip {LEFT}\n"
    gone = f"nft delete table ip {LEFT} 2>/dev/null || true"
    return {
        "damage": f"mkdir -p {folder} && printf %s {quote(part)} > {folder}/50-defect.conf"
        " && systemctl daemon-reload",
        "repair": f"rm -rf {folder} && systemctl daemon-reload; {gone}",
        "touches": ("unit nftables",),
    }
