"""A fake of an API server: it keeps the contract of the real one and remembers what it was asked."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from lab.checks.cluster import Cluster
from lab.cluster.api import FIELD_MANAGER, Api, ApiError, Unavailable
from lab.objects import Object
from lab.render.addons import merge
from lab.waits import NotYet

OURS = {"manager": FIELD_MANAGER, "operation": "Apply"}
"""What an API server notes of an object that was applied."""


class FakeApi(Api):
    """An API server: objects by path, server-side apply, and refusals that were asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.nodes: Callable[[], list[str]] = list
        self.refusals: list[Exception] = []
        """Raised by the next writes, one each."""
        self.unknown_kinds: set[str] = set()
        self.stuck: set[str] = set()
        """Paths of objects that do not go although they were deleted."""
        self.applied: list[str] = []
        self.merged: list[str] = []
        """Paths of merge patches that were no dry run."""
        self.deleted: list[str] = []
        self.answers = True
        self._version = 0

    def restore(self, objects: dict[str, Object]) -> None:
        """What another process has left."""
        self.objects |= objects
        versions = [item.get("metadata", {}).get("resourceVersion", "0") for item in objects.values()]
        self._version = max(map(int, versions), default=0)

    def ready(self) -> bool:
        return self.answers

    def path(self, item: Object) -> str:
        if item["kind"] in self.unknown_kinds:
            raise NotYet(f"the API server does not serve {item['kind']}")
        root = f"/apis/{item['apiVersion']}" if "/" in item["apiVersion"] else f"/api/{item['apiVersion']}"
        namespace = item["metadata"].get("namespace")
        space = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{space}/{item['kind'].lower()}s/{item['metadata']['name']}"

    def get(self, path: str) -> Object | None:
        self._check()
        return copy.deepcopy(self.objects.get(path))

    def items(self, path: str) -> list[Object]:
        self._check()
        if path == "/api/v1/nodes":
            alive = self.nodes()
            states = {
                name: {"conditions": [{"type": "Ready", "status": str(name in alive)}]} for name in alive
            }
            stored = [
                copy.deepcopy(item)
                for place, item in list(self.objects.items())
                if _collection(place)[0] == path
            ]
            # a test that is about nothing else of nodes names them alone
            listed = stored or [{"metadata": {"name": name}} for name in alive]
            return [item | {"status": states.get(item["metadata"]["name"], {})} for item in listed]
        return [
            copy.deepcopy(item)
            for place, item in list(self.objects.items())
            # of the whole cluster, or of one namespace
            if path in (_collection(place)[0], place.rpartition("/")[0])
        ]

    def request(
        self,
        method: str,
        path: str,
        body: str | Object | None = None,
        content: str = "",  # noqa: ARG002
        *,
        accept: str = "",  # noqa: ARG002
    ) -> Object:
        """Discovery of the kinds of all objects, the metadata of one kind, and merge patches."""
        self._check()
        if method == "PATCH":
            place, _, query = path.partition("?")
            if place not in self.objects:
                raise ApiError(f"PATCH {path}", 404, "not found")
            patched = _merged(self.objects[place], copy.deepcopy(body))
            _validate(path, patched)
            if "dryRun=All" not in query:
                self.merged.append(place)
                self.objects[place] = patched
            return copy.deepcopy(patched)
        assert method == "GET"
        if path in ("/api", "/apis"):
            return {"items": _groups(self.objects, core=path == "/api")}
        found = {
            place: copy.deepcopy(item)
            for place, item in list(self.objects.items())
            if _collection(place)[0] == path
        }
        named = {place: {"name": place.rpartition("/")[2]} for place in found}
        return {
            "items": [{"metadata": named[place] | item.get("metadata", {})} for place, item in found.items()]
        }

    def delete(self, path: str, options: Object | None = None) -> bool:
        self._check()
        uid = (options or {}).get("preconditions", {}).get("uid", "")
        live = self.objects.get(path)
        if live and uid != live["metadata"].get("uid", "") and options:
            raise ApiError(f"DELETE {path}", 409, "the UID in the precondition does not match")
        self.deleted.append(path)
        if live and path not in self.stuck:
            del self.objects[path]
        return live is not None

    def apply(self, item: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Object:  # noqa: ARG002
        self._check()
        path = self.path(item)
        if self.refusals:
            raise self.refusals.pop(0)
        space = item["metadata"].get("namespace", "")
        if space not in ("", "kube-system") and f"/api/v1/namespaces/{space}" not in self.objects:
            raise ApiError(f"PATCH {path}", 404, f'namespaces "{space}" not found')
        live = self.objects.get(path, {})
        after: Any = _with_ports(merge(copy.deepcopy(live), copy.deepcopy(item)), live, item)
        _validate(path, after)
        if not dry_run:
            self.applied.append(path)
        if after == live:
            return after  # type: ignore[no-any-return]
        version = str(self._version + 1)
        born = {"uid": f"uid-{version}", "managedFields": []} | after["metadata"]
        if OURS not in born["managedFields"]:
            born["managedFields"] = [*born["managedFields"], OURS]
        after["metadata"] = born | {"resourceVersion": version, "generation": int(version)}
        after["status"] = _status(after, int(version))
        if not dry_run:
            self._version += 1
            self.objects[path] = copy.deepcopy(after)
        return after  # type: ignore[no-any-return]

    def _check(self) -> None:
        if not self.answers:
            raise Unavailable("API: connection refused")


def _with_ports(after: Any, live: Any, item: Any) -> Any:
    """What an apply makes of lists of ports, which it merges by number and protocol, not by name."""
    if not isinstance(after, dict) or not isinstance(live, dict) or not isinstance(item, dict):
        if isinstance(after, list) and isinstance(live, list) and isinstance(item, list):
            pairs = [
                {entry.get("name"): entry for entry in entries if isinstance(entry, dict)}
                for entries in (live, item)
            ]
            return [
                _with_ports(entry, *(pair.get(entry.get("name")) for pair in pairs))
                if isinstance(entry, dict)
                else entry
                for entry in after
            ]
        return after
    for key, value in after.items():
        if key == "ports" and live.get(key) and item.get(key):
            ports: dict[Any, Object] = {}
            for port in (*live[key], *item[key]):
                place = (port.get("containerPort", port.get("port")), port.get("protocol", "TCP"))
                ports[place] = ports.get(place, {}) | port
            after[key] = list(ports.values())
        else:
            after[key] = _with_ports(value, live.get(key), item.get(key))
    return after


def _validate(path: str, item: Any, place: str = "") -> None:
    """Refuse what an API server refuses: two ports of one name."""
    if isinstance(item, list):
        for index, entry in enumerate(item):
            _validate(path, entry, f"{place}[{index}]")
    for key, value in item.items() if isinstance(item, dict) else ():
        inner = f"{place}.{key}".lstrip(".")
        if key == "ports" and isinstance(value, list):
            names = [port.get("name") for port in value if isinstance(port, dict)]
            for index, name in enumerate(names):
                if name and name in names[:index]:
                    raise ApiError(
                        f"PATCH {path}", 422, f'invalid: {inner}[{index}].name: Duplicate value: "{name}"'
                    )
        _validate(path, value, inner)


def _merged(base: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    found = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return found


def _status(item: Object, generation: int) -> Object:
    """Workloads of a fake cluster are ready at once."""
    if item["kind"] in ("Deployment", "StatefulSet"):
        count = item["spec"].get("replicas", 1)
        return {"readyReplicas": count, "updatedReplicas": count, "observedGeneration": generation}
    if item["kind"] == "Job":
        return {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
    if item["kind"] == "CustomResourceDefinition":
        return {"conditions": [{"type": "Established", "status": "True"}]}
    return {
        "desiredNumberScheduled": 1,
        "numberReady": 1,
        "updatedNumberScheduled": 1,
        "observedGeneration": generation,
    }


def _collection(path: str) -> tuple[str, str, str, str]:
    """Where all objects of the kind of a path are listed, its group, version and name in paths."""
    root, *rest = re.fullmatch(
        r"(/api|/apis/[^/]+)/([^/]+)/(?:namespaces/[^/]+/)?([^/]+)/[^/]+", path
    ).groups()  # type: ignore[union-attr]
    version, plural = rest
    return f"{root}/{version}/{plural}", root.removeprefix("/apis/").removeprefix("/api"), version, plural


def _groups(objects: dict[str, Object], *, core: bool) -> list[Object]:
    """Aggregated discovery (apidiscovery.k8s.io/v2) of a server that has these objects."""
    groups: dict[str, dict[str, dict[str, Object]]] = {}
    for path, item in list(objects.items()):
        _, group, version, plural = _collection(path)
        if core == (not group):
            scope = "Namespaced" if "/namespaces/" in path and plural != "namespaces" else "Cluster"
            kind = item.get("kind", plural)
            entry = {"resource": plural, "responseKind": {"kind": kind}, "scope": scope}
            entry["verbs"] = ["delete", "get", "list"]
            groups.setdefault(group, {}).setdefault(version, {})[plural] = entry
    return [
        {
            "metadata": {"name": group},
            "versions": [
                {"version": version, "resources": list(kinds.values())} for version, kinds in versions.items()
            ],
        }
        for group, versions in groups.items()
    ]


class FakeCluster(Cluster):
    """What checks ask of the cluster, over a fake API."""

    def __init__(self, api: FakeApi) -> None:
        self._api = api
