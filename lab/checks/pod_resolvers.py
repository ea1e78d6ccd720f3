"""Pods with their node's DNS: a pod keeps what its node had when it began, whatever that says since.

The kubelet copies name servers and search list of a node into a pod that starts: with dnsPolicy Default, and
with ClusterFirst in the host's network, which falls back to it. CoreDNS asks those servers for all pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lab.checks.resolver import Resolver, read
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.render.bundle import Bundle
from lab.render.detected import CLUSTER_DNS, POD_RESOLVER

MIRROR = "kubernetes.io/config.mirror"
"""Annotation of a static pod's mirror: deleting it restarts nothing, and the control plane asks no name."""
REPLACED_BY = ("ReplicaSet", "DaemonSet", "StatefulSet")
"""Kinds of owners that make another pod where one is deleted."""


@dataclass(frozen=True)
class OldPod:
    """A pod with another resolver than its node's: by namespace/name, with the object and both resolvers."""

    key: str
    node: str
    item: Object
    held: Resolver
    wanted: Resolver

    @property
    def path(self) -> str:
        """Its path in the API."""
        return path_of(self.key)

    @property
    def controlled(self) -> bool:
        """Whether somebody makes it again."""
        owners = self.item["metadata"].get("ownerReferences") or ()
        return any(owner["kind"] in REPLACED_BY for owner in owners)

    def __str__(self) -> str:
        held, wanted = _told(self.held), _told(self.wanted)
        return f"{self.key} on {self.node}: it asks {held}, its node's file says {wanted}"


def _told(resolver: Resolver) -> str:
    search = f", search {' '.join(resolver.search)}" if resolver.search else ""
    return f"{' '.join(resolver.servers) or 'nobody'}{search}"


def path_of(key: str) -> str:
    """The path of a pod, by namespace/name."""
    space, _, name = key.partition("/")
    return f"/api/v1/namespaces/{space}/pods/{name}"


def old_pods(
    inventory: Inventory,
    bundles: Mapping[str, Bundle],
    copies: Mapping[str, Mapping[str, str]],
    pod: Callable[[str], Object | None],
) -> Iterator[OldPod]:
    """Pods whose resolver is not what their node's file says, or will say when the host is as it should be.

    `copies` are the files of pods that run, by node and namespace/name; `pod` gets the object of one, and is
    asked for those alone that differ.
    """
    cluster = (str(inventory.kubernetes.service_subnet[CLUSTER_DNS]),)
    for node, held_there in copies.items():
        text = next(file.text for file in bundles[node].files if file.path == POD_RESOLVER)
        wanted = read(text)
        for key, copied in sorted(held_there.items()):
            held = read(copied)
            if held == wanted or held.servers == cluster:
                continue
            item = pod(path_of(key))
            if item and has_nodes_dns(item):
                yield OldPod(key, node, item, held, wanted)


def has_nodes_dns(item: Object) -> bool:
    """Whether a pod was given its node's resolver as it is, and can be made anew by deleting it."""
    spec, policy = item["spec"], item["spec"].get("dnsPolicy", "ClusterFirst")
    own = policy == "Default" or (policy == "ClusterFirst" and spec.get("hostNetwork"))
    mirror = MIRROR in (item["metadata"].get("annotations") or {})
    return bool(own) and not spec.get("dnsConfig") and not mirror
