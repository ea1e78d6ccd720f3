"""Defects of folders that a program reads whole: a file that nobody declared, whatever it is called."""

from __future__ import annotations

from functools import partial
from typing import Any

from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, added, breakage

_strange = partial(breakage, layer="node", row="P1-12", listed=True)
NOTHING = "# nothing that acts\n"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    found = (
        # by a name that the kubelet takes and a check for *.yaml does not see; what it holds starts nothing
        ("manifest-backup", first, "/etc/kubernetes/manifests/etcd.yaml.bak", "the kubelet", "{}\n"),
        ("manifest-on-a-worker", worker, "/etc/kubernetes/manifests/added", "the kubelet", "{}\n"),
        ("second-network", other, "/etc/cni/net.d/99-second.conf", "containerd", "{}\n"),
        ("foreign-registry", third, "/etc/containerd/certs.d/_default/hosts.toml", "containerd", NOTHING),
        ("kubelet-arguments", second, "/etc/default/kubelet", "the units of these names", NOTHING),
        ("haproxy-part", lab.balancer, "/etc/haproxy/conf.d/10-more.cfg", "HAProxy", NOTHING),
        ("sysctl-by-hand", worker, "/etc/sysctl.d/99-tuning.conf", "systemd-sysctl", "vm.swappiness = 60\n"),
        ("module-by-hand", first, "/etc/modules-load.d/extra.conf", "systemd-modules-load", "dummy\n"),
        ("module-barred", other, "/etc/modprobe.d/bar.conf", "modprobe", "blacklist pcspkr\n"),
        ("cron-by-hand", lab.balancer, "/etc/cron.d/mend", "cron", NOTHING),
        ("crontab-of-root", second, "/var/spool/cron/crontabs/root", "cron", NOTHING),
        ("foreign-archive", third, "/etc/apt/sources.list.d/more.list", "apt", NOTHING),
        ("sudo-rule-file", other, "/etc/sudoers.d/50-more", "sudo", NOTHING),
        ("network-by-hand", third, "/etc/systemd/network/05-more.network", "systemd-networkd", NOTHING),
    )
    return [
        _strange(
            name=name,
            title=f"a file that nobody declared is read by {reader}",
            host=host,
            says=rf"{path}: is read by {reader}",
            # whoever adds such a file seldom thinks of its rights
            reddens=("P1-11",) if "manifests" in path or "sudoers" in path else (),
            **added(path, text),
        )
        for name, host, path, reader, text in found
    ] + [
        _strange(
            name="defaults-changed",
            title="a file of HAProxy's package was changed by hand",
            host=lab.balancer,
            says="/etc/default/haproxy: is read by .* not as the package haproxy brought it",
            **_appended("/etc/default/haproxy", "# by hand"),
        )
    ]


def _appended(path: str, line: str) -> dict[str, Any]:
    """Damage and repair of a file that has one more line."""
    return {
        "damage": f"echo '{line}' >> {path}",
        "repair": f"sed -i '/^{line}$/d' {path}",
        "touches": (f"file {path}",),
    }
