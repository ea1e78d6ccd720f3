"""What an API server serves: every kind that can be listed and deleted, and the metadata of all objects.

Only metadata are asked for (`PartialObjectMetadataList`): a large ConfigMap costs no more than a small one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from lab.cluster.api import Api, patiently
from lab.objects import Object
from lab.waits import NotYet, wait_for

GROUPS = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
"""Aggregated discovery (KEP-3352): all groups in two answers. v2 since Kubernetes 1.30, v2beta1 since 1.27"""
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
FRESH_SECONDS = 20
"""How long an API server may need to ask an aggregated one for its kinds, after its start for example."""
PASSING_KINDS = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease"})
"""Made by controllers all the time, without an owner and without anybody's data; Endpoints and EndpointSlices
take over the labels of their service."""
AT_ONCE = 4
"""Lists asked for at the same time, each on a connection of its own, which costs as much as several lists."""


@dataclass(frozen=True)
class ObjectKey:
    """Which object, in whatever version of its group; "" as namespace for an object of the cluster."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass(frozen=True)
class Resource:
    """One kind, in the version that the server prefers. `plural` is its name in paths."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def root(self) -> str:
        """Path of its group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


@dataclass(frozen=True, eq=False)
class Item:
    """One living object: its kind and its metadata, as one look has found them."""

    resource: Resource
    meta: Object

    @property
    def key(self) -> ObjectKey:
        """Which object it is."""
        kind = self.resource
        return ObjectKey(kind.group, kind.kind, self.meta.get("namespace", ""), self.meta["name"])

    @property
    def path(self) -> str:
        """Its path in the API."""
        space = f"/namespaces/{self.meta['namespace']}" if self.resource.namespaced else ""
        return f"{self.resource.root}{space}/{self.resource.plural}/{self.meta['name']}"

    @property
    def uid(self) -> str:
        """By which it is told apart from another of the same name."""
        return str(self.meta.get("uid", ""))

    @property
    def begun(self) -> bool:
        """Whether its removal has begun, which nobody can take back."""
        return "deletionTimestamp" in self.meta

    @property
    def owners(self) -> frozenset[str]:
        """The objects (their uids) with which it goes: the garbage collector takes it then."""
        return frozenset(owner["uid"] for owner in self.meta.get("ownerReferences") or ())


def resources(api: Api) -> list[Resource]:
    """Every kind that can be listed and deleted. Raises `DeadlineError` while an aggregated API is silent."""
    return wait_for(
        "the kinds of the API",
        lambda: [*_of(_groups(api, "/api")), *_of(_groups(api, "/apis"))],
        seconds=FRESH_SECONDS,
        interval=1,
        next_step="invoke kubectl -- get apiservices",
    )


def living(api: Api) -> tuple[Item, ...]:
    """All objects of the cluster but those of `PASSING_KINDS`. Changes nothing.

    Raises `FailedError` or `DeadlineError` when one kind could not be looked at: half a look is none.
    """
    kinds = [kind for kind in resources(api) if kind.kind not in PASSING_KINDS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lists = [pool.submit(partial(_listed, api, kind)) for kind in kinds]
    return tuple(
        Item(kind, meta) for kind, found in zip(kinds, lists, strict=True) for meta in found.result()
    )


def _listed(api: Api, kind: Resource) -> list[Object]:
    path = f"{kind.root}/{kind.plural}"
    answer = patiently(f"list of {kind.plural}", lambda: api.request("GET", path, accept=METADATA))
    return [item["metadata"] for item in answer["items"] or ()]  # an empty list of metadata is written null


def _groups(api: Api, path: str) -> list[Object]:
    found: list[Object] = api.request("GET", path, accept=GROUPS)["items"]
    return found


def _of(groups: Iterable[Object]) -> Iterator[Resource]:
    """The kinds of discovery's groups. Raises `NotYet` for a group of which the server has only old news."""
    for group in groups:
        name, known = group["metadata"].get("name", ""), set()
        # versions stand in the order of the server's preference
        for version in group["versions"]:
            if version.get("freshness") == "Stale":
                raise NotYet(f"{name}/{version['version']} does not answer")
            for entry in version.get("resources") or ():
                kind = entry["responseKind"]["kind"]
                if kind not in known and {"list", "delete"} <= set(entry["verbs"]):
                    known.add(kind)
                    namespaced = entry["scope"] == "Namespaced"
                    yield Resource(name, version["version"], kind, entry["resource"], namespaced)
