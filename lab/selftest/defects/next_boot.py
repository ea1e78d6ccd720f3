"""Defects that wait for the next boot: all is well now, and a file says otherwise for then."""

from __future__ import annotations

from functools import partial

from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, added, breakage, edited

_later = partial(breakage, layer="node", row="P1-13", listed=True)
NETWORK = "/etc/systemd/network/10-cloud-init-eth0.network"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    own = lab.hosts[other].address
    return [
        _later(
            name="sysctl-later-file",
            title="a later file switches forwarding off",
            host=worker,
            says=r"sysctl net.ipv4.ip_forward: 0 by /etc/sysctl.d/99-zz.conf, not 1",
            reddens=("P1-12",),
            **added("/etc/sysctl.d/99-zz.conf", "net/ipv4/ip_forward = 0\n"),
        ),
        _later(
            name="sysctl-loader-masked",
            title="nobody sets the kernel's settings at boot",
            host=second,
            says="systemd-sysctl.service: masked",
            damage="systemctl mask --quiet systemd-sysctl.service",
            repair="systemctl unmask --quiet systemd-sysctl.service",
            touches=("unit systemd-sysctl",),
        ),
        _later(
            name="kubelet-node-ip",
            title="the kubelet's next start has another address",
            host=worker,
            says=r"starts with --node-ip=192.0.2.9, and runs without.*--node-ip=192.0.2.9, not",
            reddens=("P1-05",),
            **edited(
                "kubelet-node-ip",
                "/var/lib/kubelet/kubeadm-flags.env",
                "s/--node-ip=[0-9.]*/--node-ip=192.0.2.9/",
            ),
        ),
        _later(
            name="swap-in-fstab",
            title="a node switches swap on at its next boot",
            host=third,
            says="/etc/fstab: /swap.img is swap",
            **edited("swap-in-fstab", "/etc/fstab", "$a /swap.img none swap sw 0 0"),
        ),
        _later(
            name="disk-of-nobody",
            title="a boot stops at a disk that is no longer there",
            host=lab.balancer,
            says="/etc/fstab: UUID=0000-0000 for /srv is not there, so the boot stops",
            **edited("disk-of-nobody", "/etc/fstab", "$a UUID=0000-0000 /srv ext4 defaults 0 2"),
        ),
        _later(
            name="etcd-hidden-by-a-mount",
            title="the next boot mounts something over etcd's data",
            host=first,
            says="/etc/fstab: tmpfs will lie over /etc/kubernetes",
            **edited("etcd-hidden-by-a-mount", "/etc/fstab", "$a tmpfs /etc/kubernetes tmpfs defaults 0 0"),
        ),
        _later(
            name="enabled-for-now",
            title="HAProxy is enabled until the next boot only",
            host=lab.balancer,
            says="haproxy.service: enabled-runtime, so it does not start",
            damage="systemctl disable --quiet haproxy && systemctl enable --quiet --runtime haproxy",
            repair="systemctl disable --quiet --runtime haproxy; systemctl enable --quiet haproxy",
            touches=("unit haproxy",),
        ),
        _later(
            name="boot-into-rescue",
            title="the machine boots into a shell without network",
            host=other,
            says="systemd starts rescue.target, not multi-user.target",
            damage="systemctl set-default --quiet rescue.target",
            repair="! readlink /etc/systemd/system/default.target | grep -q rescue"
            " || rm /etc/systemd/system/default.target",
            touches=("default target",),
        ),
        _later(
            name="host-name-file",
            title="the machine has another name from the next boot on",
            host=third,
            says="/etc/hostname: the machine will be called localhost",
            **edited("host-name-file", "/etc/hostname", "s/.*/localhost/"),
        ),
        _later(
            name="address-file",
            title="the machine has another address from the next boot on",
            host=other,
            says=f"network: no file gives the machine {own}/",
            **edited("address-file", NETWORK, f"s|{own}/|192.0.2.77/|"),
        ),
    ]
