"""The text of one container's configuration; a pure function of what is known about the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.providers.lxc.network import BRIDGE

INIT = "/usr/local/sbin/plumbline-init"
SYSCTLS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory")
"""Settings of the whole kernel that kubelet insists on writing (kubelet 1.31, setupKernelTunables).

A machine gets a file of its own over each, so that a lab never changes how this machine treats its memory and
its crashes; all the others are read-only inside.
"""


CONTAINER = (
    ("include", "/usr/share/lxc/config/common.conf"),
    ("init.cmd", INIT),
    # It must be able to do what root of a virtual machine does: mount, load filters, write sysctls.
    ("apparmor.profile", "unconfined"),
    ("cap.drop", ""),
    ("mount.auto", ""),
    # proc:mixed: of /proc/sys only net, which belongs to the machine alone, can be written.
    # With sys:rw systemd-networkd takes udev for real and waits for it for ever.
    ("mount.auto", "proc:mixed sys:mixed"),
    # LXC uses the key of the cgroup version it finds and passes over the other.
    ("cgroup.devices.allow", "a"),
    ("cgroup2.devices.allow", "a"),
    ("mount.entry", "/dev/kmsg dev/kmsg none bind,create=file 0 0"),
)
"""What every container has, without the `lxc.` before each key."""


def port_name(mac: str) -> str:
    """The machine's port on the lab's switch. By address: names of interfaces end after 15 characters."""
    return "v" + mac.replace(":", "")


def config_text(
    *,
    name: str,
    folder: Path,
    cgroup: str,
    mac: str,
    layers: Sequence[Path],
    volumes: Sequence[tuple[Path, str]],
) -> str:
    """Configuration of LXC 4 and 5 for one machine.

    `folder` holds `upper` (what the machine wrote), `sysctl`, `console.log` and `lxc.log`; `cgroup` is a path
    below each hierarchy's root; `layers` are the read-only lower folders, top first; `volumes` are pairs of
    a folder of this machine and the absolute path it gets inside.
    """
    lowers = ":".join(str(layer) for layer in layers)
    lines = [
        "# Written by Plumbline at every start of the machine; changes are lost.",
        *(f"lxc.{key} = {value}".rstrip() for key, value in CONTAINER),
        f"lxc.uts.name = {name}",
        f"lxc.rootfs.path = overlay:{lowers}:{folder / 'upper'}",
        f"lxc.console.logfile = {folder / 'console.log'}",
        f"lxc.log.file = {folder / 'lxc.log'}",
        "lxc.log.level = WARN",
        *(f"lxc.mount.entry = {folder / 'sysctl' / key} proc/sys/{key} none bind 0 0" for key in SYSCTLS),
        f"lxc.cgroup.dir.container = {cgroup}/machine",
        f"lxc.cgroup.dir.monitor = {cgroup}/monitor",
        f"lxc.cgroup.dir.monitor.pivot = {cgroup}/pivot",
        *(
            f"lxc.mount.entry = {source} {target.lstrip('/')} none bind,create=dir 0 0"
            for source, target in volumes
        ),
        "lxc.net.0.type = veth",
        f"lxc.net.0.link = {BRIDGE}",
        f"lxc.net.0.veth.pair = {port_name(mac)}",
        f"lxc.net.0.hwaddr = {mac}",
        "lxc.net.0.name = eth0",
        "lxc.net.0.flags = up",
    ]
    return "\n".join(lines) + "\n"


def init_text() -> str:
    """What runs before systemd in a machine: the cgroups a version 1 host does not give to a container.

    On a version 2 host no controller has a hierarchy of its own, nothing is mounted, and systemd mounts the
    one tree itself. A shared root is needed on both: systemd makes it only on real machines, and kubelet
    passes mounts on to pods through it.
    """
    return """#!/bin/sh
# Plumbline: hands this host's version 1 cgroup hierarchies to the machine, then starts its init.
set -e
root=/sys/fs/cgroup
if grep -q ':name=systemd:' /proc/self/cgroup; then
    mount -t tmpfs -o mode=755,nosuid,nodev,noexec cgroup "$root"
    while IFS=: read -r _ names _; do
        case $names in
            '') continue ;;
            name=*) options=none,$names ;;
            *) options=$names ;;
        esac
        folder=${names#name=}
        mkdir "$root/$folder"
        mount -t cgroup -o "$options" cgroup "$root/$folder"
        # Controllers that share a hierarchy are looked for by each of their names.
        case $names in *,*)
            for name in $(echo "$names" | tr , ' '); do ln -s "$folder" "$root/$name"; done ;;
        esac
    done </proc/self/cgroup
fi
mount --make-rshared /
exec /sbin/init
"""
