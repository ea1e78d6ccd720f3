"""Defects of single machines: what an administrator's hand, an upgrade or a wrong image leaves behind."""

from __future__ import annotations

from shlex import quote
from typing import Any

from lab.inventory.models import Inventory
from lab.render.components import KUBELET_CONFIG
from lab.render.firewall import port_of
from lab.selftest.defect import KEPT, Breakage, edited, moved

HAPROXY = "echo {} server kube-apiservers/{} | socat - /run/haproxy/admin.sock"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_settings(lab), *_files(lab), *_units(lab)]


def _host(name: str, title: str, row: str, host: str, says: str, **fields: object) -> Breakage:
    return Breakage(name=name, title=title, layer="node", row=row, host=host, says=says, **fields)  # type: ignore[arg-type]


def _settings(lab: Inventory) -> list[Breakage]:
    first, _, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    old = f"{KEPT}/old-kubectl"
    fake = '#!/bin/sh\necho \'{"clientVersion": {"gitVersion": "v1.2.3"}}\''
    return [
        _host(
            "sysctl-off",
            "a sysctl was switched off by hand",
            "L1-08",
            worker,
            "ip_forward: 0",
            damage="sysctl -q -w net.ipv4.ip_forward=0",
            repair="sysctl -q -w net.ipv4.ip_forward=1",
            touches=("sysctl net.ipv4.ip_forward",),
        ),
        _host(
            "sysctl-file",
            "a sysctl will be off after the next boot",
            "L1-08",
            first,
            "90-plumbline.conf: digest",
            **edited("sysctl-file", "/etc/sysctl.d/90-plumbline.conf", "s/ip_forward *= *1/ip_forward = 0/"),
            reddens=("P1-01", "P1-13"),
        ),
        _host(
            "host-name",
            "a machine calls itself by another name",
            "L1-10",
            other,
            "seen: localhost",
            damage="hostname localhost",
            repair=f"hostname {other}",
            touches=("host name",),
        ),
        _host(
            "machine-id-empty",
            "a cloned machine has no identity of its own",
            "L1-09",
            "",
            f"without a machine-id.*{third}",
            at=third,
            **edited("machine-id-empty", "/etc/machine-id", "s/.*/uninitialized/"),
        ),
        _host(
            "old-program",
            "kubectl of another version was left on the path",
            "L1-13",
            other,
            "1.2.3",
            damage=f"mkdir -p {KEPT} && printf '%s\\n' {quote(fake)} > {old} && chmod 755 {old}"
            f" && mount --bind {old} /usr/local/bin/kubectl",
            repair="while umount /usr/local/bin/kubectl 2>/dev/null; do :; done",
            touches=("file /usr/local/bin/kubectl",),
            reddens=("P1-15",),
        ),
        _host(
            "package-on-hold",
            "a package is on hold and gets no updates",
            "P1-02",
            first,
            "socat: hi",
            damage="echo socat hold | dpkg --set-selections",
            repair="echo socat install | dpkg --set-selections",
            touches=("package socat",),
        ),
        _host(
            "program-mode",
            "a CNI plugin may not be run by others than root",
            "P1-02",
            worker,
            "portmap: 0700",
            damage="chmod 700 /opt/cni/bin/portmap",
            repair="chmod 755 /opt/cni/bin/portmap",
            touches=("file /opt/cni/bin/portmap",),
        ),
        _host(
            "kubelet-cgroup-driver",
            "the kubelet's settings name another cgroup driver",
            "L1-15",
            worker,
            "cgroupDriver of the kubelet.*cgroupfs",
            **edited("kubelet-cgroup-driver", KUBELET_CONFIG, "s/^cgroupDriver:.*/cgroupDriver: cgroupfs/"),
        ),
        _host(
            "disk-full",
            "a filesystem is full",
            "L1-24",
            lab.balancer,
            "full filesystems.*/var/lib/etcd",
            damage="mkdir -p /var/lib/etcd && mount -t tmpfs -o size=1m tmpfs /var/lib/etcd"
            " && head -c 1000000 /dev/zero > /var/lib/etcd/full",
            repair="while umount /var/lib/etcd 2>/dev/null; do :; done; rm -d -f /var/lib/etcd",
            touches=("mount /var/lib/etcd",),
            reddens=("P1-15",),
        ),
    ]


def _files(lab: Inventory) -> list[Breakage]:
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    return [
        _host(
            "file-content",
            "a rendered file was edited",
            "P1-01",
            other,
            "/etc/containerd/config.toml: content",
            **edited(
                "file-content", "/etc/containerd/config.toml", "s/SystemdCgroup = true/SystemdCgroup = 1/"
            ),
            listed=True,
        ),
        _host(
            "file-mode",
            "a file that was for root alone can be read by all",
            "P1-01",
            first,
            "10-plumbline.conf: mode 0644",
            damage="chmod 644 /etc/ssh/sshd_config.d/10-plumbline.conf",
            repair="chmod 600 /etc/ssh/sshd_config.d/10-plumbline.conf",
            listed=True,
            touches=("file /etc/ssh/sshd_config.d/10-plumbline.conf",),
        ),
        _host(
            "file-owner",
            "a file belongs to somebody else",
            "P1-01",
            second,
            "/etc/crictl.yaml: owner nobody",
            damage="chown nobody /etc/crictl.yaml",
            repair="chown root /etc/crictl.yaml",
            listed=True,
            touches=("file /etc/crictl.yaml",),
        ),
        _host(
            "file-missing",
            "the list of kernel modules to load is gone",
            "P1-01",
            third,
            "/etc/modules-load.d/plumbline.conf: missing",
            **moved("file-missing", "/etc/modules-load.d/plumbline.conf"),
            listed=True,
        ),
        _host(
            "hosts-file",
            "a name leads to another machine",
            "P1-01",
            lab.balancer,
            "/etc/hosts: content",
            **edited("hosts-file", "/etc/hosts", "$a 192.0.2.1 master-9"),
            listed=True,
        ),
        _host(
            "drop-in-missing",
            "the kubelet's unit lost what kubeadm needs",
            "P1-01",
            worker,
            "10-kubeadm.conf: missing",
            **moved("drop-in-missing", "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"),
            listed=True,
        ),
        _host(
            "firewall-writable",
            "everybody may write the firewall's file",
            "P1-01",
            lab.balancer,
            "/etc/nftables.conf: mode 0666",
            damage="chmod 666 /etc/nftables.conf",
            repair="chmod 640 /etc/nftables.conf",
            listed=True,
            touches=("file /etc/nftables.conf",),
        ),
    ]


def gone_with_its_port(name: str, pod: str, port: int) -> dict[str, Any]:
    """Damage and repair of a static pod whose manifest is taken away, until it no longer listens."""
    commands = moved(name, f"/etc/kubernetes/manifests/{pod}.yaml")
    silent = (
        f"for i in $(seq 300); do ss -Hlnt sport = :{port} | grep -q . || exit 0; sleep 0.1; done; exit 1"
    )
    return commands | {"damage": f"{commands['damage']} && {silent}"}


def _units(lab: Inventory) -> list[Breakage]:
    controllers = port_of(lab, "the controller manager")
    second, third = lab.masters[1:3]
    worker, other = lab.workers[:2]
    return [
        _host(
            "unit-disabled",
            "containerd will not start at the next boot",
            "L1-14",
            other,
            "not enabled.*containerd",
            damage="systemctl --quiet disable containerd",
            repair="systemctl --quiet enable containerd",
            touches=("unit containerd",),
        ),
        _host(
            "kubelet-stopped",
            "a master's kubelet is stopped",
            "L1-14",
            second,
            "do not run.*kubelet",
            settles=True,
            damage="systemctl stop kubelet",
            repair="systemctl start kubelet",
            touches=("unit kubelet",),
        ),
        _host(
            "firewall-unit-stopped",
            "the firewall's unit is stopped",
            "L1-14",
            third,
            "do not run.*nftables",
            settles=True,
            damage="systemctl stop nftables",
            repair="systemctl start nftables",
            touches=("unit nftables",),
        ),
        _host(
            "haproxy-stopped",
            "the balancer does not run",
            "L1-27",
            lab.balancer,
            "haproxy.service: running",
            settles=True,
            damage="systemctl stop haproxy",
            repair="systemctl start haproxy",
            touches=("unit haproxy",),
        ),
        _host(
            "containerd-stopped",
            "a worker's container runtime is stopped",
            "L1-14",
            worker,
            "do not run.*containerd",
            settles=True,
            damage="systemctl stop containerd",
            repair="systemctl start containerd kubelet",
            touches=("unit containerd",),
        ),
        _host(
            "controller-manager-gone",
            "the manifest of a static pod was taken away",
            "L1-16",
            third,
            f"{controllers}/tcp",
            settles=True,
            **gone_with_its_port("controller-manager-gone", "kube-controller-manager", controllers),
        ),
    ]
