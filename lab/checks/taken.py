"""What is the platform's alone and is claimed by others: addresses, endpoints, defaults, drains (P2-16)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from lab.checks.declared import OWN, Declared, writers
from lab.checks.objects import address_of
from lab.cluster.discovery import Resource

SERVICES = Resource("", "v1", "Service", "services", True)
BEHIND = (
    Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", True),
    Resource("", "v1", "Endpoints", "endpoints", True),
)
PRIORITIES = Resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False)
BUDGETS = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True)
DEFAULTS = {
    Resource(
        "networking.k8s.io", "v1", "IngressClass", "ingressclasses", False
    ): "ingressclass.kubernetes.io/is-default-class",
    Resource(
        "storage.k8s.io", "v1", "StorageClass", "storageclasses", False
    ): "storageclass.kubernetes.io/is-default-class",
}
"""Kinds of which one is meant where nobody says which, and the annotation that says so."""
API = "kubernetes"


def from_the_platform(declared: Declared) -> list[str]:
    """A line for each claim to what the platform alone has."""
    return [*_addresses(declared), *_endpoints(declared), *_defaults(declared), *_drains(declared)]


def _addresses(declared: Declared) -> Iterator[str]:
    """Services that have kube-proxy of every node take the platform's addresses for themselves."""
    held, lab = _held(declared), declared.driver.inventory
    for name, item in declared.strange(SERVICES):
        given = [
            one.get("ip", "")
            for one in ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        ]
        for address in [*(item["spec"].get("externalIPs") or ()), *filter(None, given)]:
            number = ip_address(address)
            whose = held.get(address, "")
            for network, says in (
                (lab.kubernetes.service_subnet, "of the services' network"),
                (lab.kubernetes.pod_subnet, "of the pods' network"),
            ):
                whose = whose or (says if number in network else "")
            if whose:
                yield f"{name}: takes {address} on every node, which is {whose}"


def _held(declared: Declared) -> Mapping[str, str]:
    """Addresses of the platform, and whose each is."""
    lab = declared.driver.inventory
    found = {str(address): name for name, address in lab.addresses.items()}
    found[str(lab.network.gateway)] = "the gateway"
    for space in declared.spaces:
        for item in declared.items(SERVICES, space):
            if address := address_of(item):
                found[address] = f"{space}/{item['metadata']['name']}"
    return found


def _endpoints(declared: Declared) -> Iterator[str]:
    """What stands behind services of the platform and was written by no controller of Kubernetes'."""
    for kind in BEHIND:
        for space in ("default", *declared.spaces):
            for name, item in declared.strange(kind, (space,)):
                meta = item["metadata"]
                of = (meta.get("labels") or {}).get("kubernetes.io/service-name", meta["name"])
                strange = sorted(set(writers(meta)) - OWN)
                if strange and (space != "default" or of == API):
                    by = ", ".join(strange)
                    yield f"{name}: leads clients of service {space}/{of} elsewhere; written by {by}"


def _defaults(declared: Declared) -> Iterator[str]:
    for name, item in declared.strange(PRIORITIES):
        if item.get("globalDefault"):
            yield f"{name}: is the priority ({item['value']}) of all new pods, the platform's too"
    for kind, annotation in DEFAULTS.items():
        found = list(declared.strange(kind))
        ours = len(declared.items(kind)) > len(found)
        for name, item in found:
            if ours and (item["metadata"].get("annotations") or {}).get(annotation) == "true":
                yield f"{name}: is a second default beside the platform's own"


def _drains(declared: Declared) -> Iterator[str]:
    """Budgets that let no pod go, however healthy all are: the machine is never drained."""
    checks = declared.of_checks()
    for name, item in declared.strange(BUDGETS):
        status, space = item.get("status") or {}, item["metadata"]["namespace"]
        pods = int(status.get("expectedPods") or 0)
        if space not in checks and pods and int(status.get("desiredHealthy") or 0) >= pods:
            yield f"{name}: lets none of its {pods} pods go, so that no machine with one is ever drained"
