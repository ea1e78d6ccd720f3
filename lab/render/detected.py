"""What kubeadm finds out by itself where its documents are silent, and what they say instead.

kubeadm looks at the machine on which it runs, and much of what the founder finds goes into the cluster's
ConfigMaps, from where every other node takes it, whatever that one is like: behind a founder with
systemd-resolved the kubelet of a machine without it looks for a file that is not there. Of kubeadm v1.31.0:
util/config/initconfiguration.go and joinconfiguration.go (Set*DynamicDefaults), componentconfigs/kubelet.go,
kubelet_unix.go and kubeproxy.go (Default, Mutate), phases/kubelet/flags.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.inventory.models import Inventory

CRI_SOCKET = "unix:///run/containerd/containerd.sock"
POD_RESOLVER = "/etc/kubernetes/resolv.conf"
"""What the kubelet reads for pods with the node's DNS, written by a role on every node (docs/adr/0033)."""
CLUSTER_DNS = 10
"""kubeadm gives CoreDNS this address of the service network (constants.GetDNSIP)."""


@dataclass(frozen=True)
class Detected:
    """A field of a document, and how it gets its value where the document leaves it out.

    `kinds` are the documents that have it, `field` its place in them. `all_inherit`: every node gets what the
    founder finds; else each machine finds its own. `value` is what is said for a host; None where the host's
    document has no such part.
    """

    kinds: tuple[str, ...]
    field: str
    found: str
    all_inherit: bool
    value: Callable[[Inventory, str], Any]


def _of_masters(inventory: Inventory, name: str) -> str | None:
    return inventory.addresses[name] if name in inventory.masters else None


_NODE = ("InitConfiguration", "JoinConfiguration")
DETECTED = (
    Detected(_NODE, "nodeRegistration.name", "the machine's host name", False, lambda _, name: name),
    Detected(
        _NODE,
        "nodeRegistration.criSocket",
        "the one socket of a known runtime that is there",
        False,
        lambda *_: CRI_SOCKET,
    ),
    Detected(
        _NODE[:1],
        "localAPIEndpoint.advertiseAddress",
        "an address of the default route's interface",
        False,
        _of_masters,
    ),
    Detected(
        _NODE[1:],
        "controlPlane.localAPIEndpoint.advertiseAddress",
        "an address of the default route's interface",
        False,
        _of_masters,
    ),
    Detected(
        _NODE,
        "nodeRegistration.kubeletExtraArgs",
        "node-ip: the kubelet's own choice, an address of the default route's interface",
        False,
        lambda inventory, name: [{"name": "node-ip", "value": inventory.addresses[name]}],
    ),
    Detected(("ResetConfiguration",), "criSocket", "as at the join", False, lambda *_: CRI_SOCKET),
    Detected(
        ("ClusterConfiguration",),
        "kubernetesVersion",
        "the newest stable version that dl.k8s.io names",
        True,
        lambda inventory, _: inventory.kubernetes.version,
    ),
    Detected(
        ("ClusterConfiguration",),
        "controlPlaneEndpoint",
        "the founder's own address",
        True,
        lambda inventory, _: inventory.endpoint,
    ),
    Detected(
        ("KubeletConfiguration",),
        "resolvConf",
        "/run/systemd/resolve/resolv.conf where systemd-resolved is active, else /etc/resolv.conf",
        True,
        lambda *_: POD_RESOLVER,
    ),
    Detected(
        ("KubeletConfiguration",),
        "cgroupDriver",
        "systemd, or what the runtime answers the kubelet (KubeletCgroupDriverFromCRI)",
        True,
        lambda *_: "systemd",
    ),
    Detected(
        ("KubeletConfiguration",),
        "clusterDNS",
        "the tenth address of the founder's service network",
        True,
        lambda inventory, _: [str(inventory.kubernetes.service_subnet[CLUSTER_DNS])],
    ),
    Detected(
        ("KubeletConfiguration",),
        "clusterDomain",
        "the founder's DNS domain",
        True,
        lambda inventory, _: inventory.kubernetes.dns_domain,
    ),
    Detected(
        ("KubeProxyConfiguration",),
        "bindAddress",
        "the family of the founder's advertised address",
        True,
        lambda *_: "0.0.0.0",
    ),
    Detected(
        ("KubeProxyConfiguration",),
        "clusterCIDR",
        "the founder's pod network",
        True,
        lambda inventory, _: str(inventory.kubernetes.pod_subnet),
    ),
)
"""Everything that depends on where kubeadm runs, and that our documents therefore say."""


def said(kind: str, inventory: Inventory, name: str = "") -> dict[str, Any]:
    """What a document says so that nothing is found out; `name` is its host's, if it is of one host."""
    document: dict[str, Any] = {}
    for item in DETECTED:
        value = item.value(inventory, name) if kind in item.kinds else None
        if value is not None:
            *above, key = item.field.split(".")
            here = document
            for part in above:
                here = here.setdefault(part, {})
            here[key] = value
    return document


def merged(document: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both parts of a document as one; lists of the same field one after the other."""
    found = dict(document)
    for key, value in more.items():
        there = found.get(key)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            found[key] = merged(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            found[key] = [*there, *value]
        else:
            found[key] = value
    return found
