"""Defects of rights: modes and owners of what kubeadm, kubelet, etcd, containerd and HAProxy own."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.selftest.defect import SSHD_SETTINGS, Breakage, breakage, permitted


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    return [
        _wider("admin-conf-readable", "the cluster's master key can be read by every account", first, ADMIN),
        _wider("kubelet-conf-readable", "a node's credentials can be read by all", worker, KUBELET),
        _wider("etcd-data-readable", "the folder of etcd's data is open to all", second, "/var/lib/etcd"),
        _wider("ca-key-readable", "the cluster's CA can be copied by all", third, CA_KEY, "640"),
        _wider("manifests-writable", "everybody may add a static pod", second, MANIFESTS, "777"),
        _wider("runtime-socket-open", "everybody may start containers as root", other, SOCKET, "666"),
        _wider(
            "haproxy-folder-writable",
            "who may write there may replace the file",
            lab.balancer,
            HAPROXY,
            "777",
        ),
        breakage(
            name="host-key-readable",
            title="a machine's own key can be read by all",
            layer="node",
            row="P1-11",
            host=lab.balancer,
            says=rf"{HOST_KEY}: mode 0644",
            listed=True,
            # with such a key it refuses to tell them
            stops=(SSHD_SETTINGS,),
            **permitted("host-key-readable", HOST_KEY, mode="644"),
        ),
        breakage(
            name="pki-owner",
            title="the cluster's certificates belong to somebody else, who may replace them",
            layer="node",
            row="P1-11",
            host=first,
            says=r"/etc/kubernetes/pki: owner nobody:root, not root:root",
            listed=True,
            **permitted("pki-owner", "/etc/kubernetes/pki", owner="nobody"),
        ),
        breakage(
            name="kubelet-data-owner",
            title="a group may look into the kubelet's folder",
            layer="node",
            row="P1-11",
            host=other,
            says=r"/var/lib/kubelet: owner root:users, not root:root",
            listed=True,
            **permitted("kubelet-data-owner", "/var/lib/kubelet", owner="root:users"),
        ),
    ]


ADMIN, KUBELET = "/etc/kubernetes/admin.conf", "/etc/kubernetes/kubelet.conf"
MANIFESTS, CA_KEY = "/etc/kubernetes/manifests", "/etc/kubernetes/pki/ca.key"
SOCKET, HAPROXY = "/run/containerd/containerd.sock", "/etc/haproxy"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


def _wider(name: str, title: str, host: str, path: str, mode: str = "") -> Breakage:
    """More rights than declared; by default the bits with which everybody reads."""
    folder = path in ("/var/lib/etcd", MANIFESTS, HAPROXY)
    given = mode or ("755" if folder else "644")
    return breakage(
        name=name,
        title=title,
        layer="node",
        row="P1-11",
        host=host,
        says=rf"{path}: mode 0{given}",
        listed=True,
        **permitted(name, path, mode=given),
    )
