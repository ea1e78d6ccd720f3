"""What a living cluster was born with, compared with what the inventory says now: pure.

Fields that carry the mark of `lab.inventory.settled` are written by kubeadm once and converged by nobody, so
a different value in the file would be built in part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

import yaml
from cryptography import x509

from lab.cluster.kubeadm_flags import API_SERVER, COMPONENTS, CONTROLLERS, SCHEDULER, constant_flags
from lab.inventory.models import Inventory
from lab.inventory.reaction import REACTIONS
from lab.inventory.settled import Way, way_of
from lab.inventory.shape import place
from lab.objects import Object

CONFIGMAP = "ConfigMap kubeadm-config"
CERTIFICATE = "certificate names"
UNSET = "not set"
_FLAGS = {
    "default-not-ready-toleration-seconds": "kubernetes.reaction",
    "default-unreachable-toleration-seconds": "kubernetes.reaction",
    "node-monitor-period": "kubernetes.reaction",
    "etcd-readycheck-timeout": "patience",
    "etcd-healthcheck-timeout": "patience",
    "leader-elect-lease-duration": "patience",
    "leader-elect-renew-deadline": "patience",
    "node-cidr-mask-size": "kubernetes.node_mask",
    "cluster-cidr": "kubernetes.pod_subnet",
    "service-cluster-ip-range": "kubernetes.service_subnet",
    "secure-port": "kubernetes.api_port",
    "service-account-issuer": "kubernetes.dns_domain",
}
"""Field of each flag of the control plane, but for the grace period, which two fields make."""
GRACE = "node-monitor-grace-period"
OWN_ADDRESS = "advertise-address"
"""The flag that each master has its own value of."""


@dataclass(frozen=True)
class Deviation:
    """One setting that is not what the file says: field of the inventory, setting, place, both values.

    `names` are those that a certificate has not; there is no living value then.
    """

    field: str
    setting: str
    where: str
    living: str
    wanted: str
    way: Way
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Master:
    """One master as it runs: the command lines of its static pods, on disk and at work, by component.

    `names` are those of the certificate that its API server serves, None while it serves none; `held` those
    of the certificate on its disk.
    """

    name: str
    running: Mapping[str, tuple[tuple[str, ...], ...]]
    manifests: Mapping[str, tuple[str, ...]]
    names: frozenset[str] | None
    held: frozenset[str] | None
    healthy: Mapping[str, bool] = field(default_factory=dict)
    """Whether the component says so itself."""
    files: tuple[str, ...] = ()
    """Names of the files that its kubelet reads static pods from."""


@dataclass(frozen=True)
class Documents:
    """What the cluster's API holds: kubeadm's ClusterConfiguration, kube-proxy's settings, its nodes."""

    cluster: Object
    proxy: Object
    nodes: tuple[Object, ...] = ()


@dataclass(frozen=True)
class Living:
    """The cluster as far as its masters answered; `silent` are those that did not, with what they said."""

    masters: Mapping[str, Master]
    documents: Documents | None = None
    silent: Mapping[str, str] = field(default_factory=dict)

    def well(self, master: str, component: str) -> bool:
        """Whether a component of a master says so itself."""
        return master in self.masters and self.masters[master].healthy.get(component, False)

    @property
    def known(self) -> bool:
        """Whether nothing may hide: every master and the API have answered."""
        return not self.silent and (self.documents is not None or not self.masters)


def names_in(certificate: str) -> frozenset[str] | None:
    """DNS names and addresses of a PEM certificate; None for what is none."""
    try:
        held = x509.load_pem_x509_certificate(certificate.encode()).extensions
        names = held.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    found = {str(item) for item in names.get_values_for_type(x509.IPAddress)}
    return frozenset(found | set(names.get_values_for_type(x509.DNSName)))


def flags(command: Iterable[str]) -> dict[str, str]:
    """The flags of a command line by name, without dashes."""
    split = (word.removeprefix("--").partition("=") for word in command if word.startswith("--"))
    return {name: value for name, _, value in split}


def arguments(cluster: Object, component: str) -> dict[str, str]:
    """extraArgs of a component in a ClusterConfiguration (v1beta4: a list of name and value)."""
    key = {API_SERVER: "apiServer", CONTROLLERS: "controllerManager", SCHEDULER: "scheduler"}[component]
    return {item["name"]: str(item["value"]) for item in (cluster.get(key) or {}).get("extraArgs") or ()}


def wanted_flags(inventory: Inventory, cluster: Object, component: str) -> dict[str, str]:
    """What kubeadm makes of our ClusterConfiguration in the manifest of a component (its `manifests.go`)."""
    kubernetes, found = inventory.kubernetes, constant_flags(cluster, component)
    if component != SCHEDULER:
        found["service-cluster-ip-range"] = str(kubernetes.service_subnet)
    if component == API_SERVER:
        found["secure-port"] = str(kubernetes.api_port)
    if component == CONTROLLERS:
        found["cluster-cidr"] = str(kubernetes.pod_subnet)
    return found | arguments(cluster, component)


def compare(inventory: Inventory, cluster: Object, living: Living) -> tuple[Deviation, ...]:
    """Every difference of the living cluster from `cluster`, the ClusterConfiguration of the inventory."""
    found: list[Deviation] = []
    nodes = list(living.masters)
    if living.documents:
        nodes = [item["metadata"]["name"] for item in living.documents.nodes]
        found += configuration(inventory, cluster, living.documents.cluster, nodes)
        mode = living.documents.proxy.get("mode") or "iptables"
        found += _differ(
            "kubernetes.proxy_mode", "mode", "ConfigMap kube-proxy", mode, inventory.kubernetes.proxy_mode
        )
        for item in living.documents.nodes:
            found += _node(inventory, item)
    for master in living.masters.values():
        found += of_master(inventory, cluster, master, nodes)
    return tuple(found)


def configuration(
    inventory: Inventory, cluster: Object, held: Object, nodes: Iterable[str]
) -> Iterator[Deviation]:
    """Differences of kubeadm's ClusterConfiguration; `nodes` are those that the cluster has."""
    kubernetes, ours = inventory.kubernetes, cluster["networking"]
    theirs = held.get("networking") or {}
    version = held.get("kubernetesVersion", "")
    yield from _differ("kubernetes.version", "kubernetesVersion", CONFIGMAP, version, kubernetes.version)
    for name, path in (
        ("podSubnet", "pod_subnet"),
        ("serviceSubnet", "service_subnet"),
        ("dnsDomain", "dns_domain"),
    ):
        yield from _differ(f"kubernetes.{path}", name, CONFIGMAP, theirs.get(name, ""), ours[name])
    endpoint = held.get("controlPlaneEndpoint", "")
    moved = endpoint.rpartition(":")[0] != inventory.endpoint.rpartition(":")[0]
    yield from _differ(
        f"hosts.{inventory.balancer}.address" if moved else "kubernetes.api_port",
        "controlPlaneEndpoint",
        CONFIGMAP,
        endpoint,
        inventory.endpoint,
    )
    for component in COMPONENTS:
        yield from _flags_of(inventory, arguments(held, component), arguments(cluster, component), CONFIGMAP)
    yield from _names(
        inventory, CONFIGMAP, frozenset((held.get("apiServer") or {}).get("certSANs") or ()), nodes
    )


def of_master(
    inventory: Inventory, cluster: Object, master: Master, nodes: Iterable[str]
) -> Iterator[Deviation]:
    """Differences of one master; `nodes` are those that the cluster has."""
    own = str(inventory.hosts[master.name].address)
    for component in COMPONENTS:
        wanted = wanted_flags(inventory, cluster, component)
        places = {f"{component} of {master.name}": line for line in master.running.get(component, ())}
        if component in master.manifests:
            places[f"manifest of {component} on {master.name}"] = master.manifests[component]
        for where, line in places.items():
            held = flags(line)
            address = held.pop(OWN_ADDRESS, own)
            yield from _flags_of(inventory, held, wanted, where)
            yield from _differ(f"hosts.{master.name}.address", OWN_ADDRESS, where, address, own)
    if master.names is not None:
        yield from _names(inventory, f"API server of {master.name}", master.names, nodes)
    if API_SERVER in master.manifests:
        yield from _names(inventory, f"apiserver.crt of {master.name}", master.held or frozenset(), nodes)


def _node(inventory: Inventory, item: Object) -> Iterator[Deviation]:
    name = item["metadata"]["name"]
    part = (item.get("spec") or {}).get("podCIDR")
    where = f"Node {name}"
    if part:
        subnet, mask = inventory.kubernetes.pod_subnet, inventory.kubernetes.node_mask
        held = ip_network(part)
        yield from _differ("kubernetes.node_mask", "length of podCIDR", where, str(held.prefixlen), str(mask))
        if not held.subnet_of(subnet):  # type: ignore[arg-type]
            yield from _differ("kubernetes.pod_subnet", "podCIDR", where, part, f"a part of {subnet}")
    entries = (item.get("status") or {}).get("addresses") or ()
    address = next((entry["address"] for entry in entries if entry["type"] == "InternalIP"), "")
    if address and name in inventory.hosts:
        wanted = str(inventory.hosts[name].address)
        yield from _differ(f"hosts.{name}.address", "InternalIP", where, address, wanted)


def _flags_of(
    inventory: Inventory, held: Mapping[str, str], wanted: Mapping[str, str], where: str
) -> Iterator[Deviation]:
    """Flags that differ, those among them that nobody but a hand has written."""
    for name in dict.fromkeys([*wanted, *held]):
        living, ours = held.get(name, UNSET), wanted.get(name, UNSET)
        named = _grace_field(inventory, living) if name == GRACE else _FLAGS.get(name, "kubernetes")
        yield from _differ(named, name, where, living, ours)


def _grace_field(inventory: Inventory, living: str) -> str:
    """The grace period is the shorter of node_monitor_grace_seconds and what the reaction allows."""
    bounds = {f"{item.grace}s" for item in REACTIONS.values() if item.grace}
    capped = inventory.grace_seconds != inventory.kubernetes.node_monitor_grace_seconds
    return "kubernetes.reaction" if capped or living in bounds else "kubernetes.node_monitor_grace_seconds"


def _names(
    inventory: Inventory, where: str, held: frozenset[str], nodes: Iterable[str]
) -> Iterator[Deviation]:
    """Names that a certificate must have and has not; a master that never joined is not asked for yet.

    Those that it has besides let nobody in who has no key, and stay.
    """
    there = (inventory.balancer, *(name for name in inventory.masters if name in set(nodes)))
    wanted = ["127.0.0.1", *there, *(str(inventory.hosts[name].address) for name in there)]
    further = inventory.kubernetes.api_names
    for path, names in (("hosts", set(wanted).difference(further)), ("kubernetes.api_names", set(further))):
        if missing := tuple(sorted(names - held)):
            said = ", ".join(missing)
            yield Deviation(path, CERTIFICATE, where, "", said, Way.RECONFIGURE, missing)


def _differ(path: str, setting: str, where: str, living: str, wanted: str) -> Iterator[Deviation]:
    if living != wanted:
        yield Deviation(path, setting, where, living or UNSET, wanted, _way(path))


def _way(path: str) -> Way:
    """The mark of a field of the inventory; what no field says of the control plane is ours to change."""
    here = place(tuple(path.split(".")))
    return way_of(here.field if here else None) or Way.RECONFIGURE


def configuration_in(documents: str) -> Object:
    """The ClusterConfiguration among kubeadm's documents."""
    found: Object = next(
        item for item in yaml.safe_load_all(documents) if item and item.get("kind") == "ClusterConfiguration"
    )
    return found
