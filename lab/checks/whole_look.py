"""All that machines and cluster tell, at one moment: facts, survey, what convergence looks at, objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel

from lab.checks.driver import Driver
from lab.checks.facts import AT_ONCE, SECTIONS
from lab.checks.outcomes import CouldNotTell
from lab.checks.running import running
from lab.checks.unlike_before import Look, facts
from lab.hosts.survey import HostSurvey
from lab.objects import Object

UNASKED = ("clock", "disks")
"""Sections that tell a moment alone, and that not every machine can tell: a container has no clock."""
OF_META = ("labels", "annotations", "finalizers")
"""Of an object's metadata what somebody has written."""
BESIDE = ("metadata", "kind", "apiVersion", "status")


def whole_look(driver: Driver) -> Look:
    """Every fact of every machine, by machine, and every object of the cluster, under "".

    Raises `CouldNotTell` for a machine that does not answer, or an API that does not.
    """
    hosts = tuple(driver.inventory.hosts)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(lambda name: dict(of_machine(driver, name)), hosts)
        return dict(zip(hosts, told, strict=True)) | {"": dict(of_cluster(driver))}


def of_machine(driver: Driver, host: str) -> Iterator[tuple[str, Any]]:
    role = driver.inventory.hosts[host].role
    fresh, survey = driver.facts.fresh(host), driver.surveys.fresh(host)
    for section in SECTIONS[role]:
        if section in UNASKED:
            continue
        yield from facts(plain(getattr(fresh, section)), f"facts.{section}")
    for section in HostSurvey.names:
        yield from facts(plain(getattr(survey, section)), f"survey.{section}")
    yield from facts(running(driver, host).model_dump(), "look")
    yield from sysctls(driver.read(host, "sysctl -a 2>/dev/null; true"))


def sysctls(said: str) -> Iterator[tuple[str, str]]:
    """Every sysctl of a machine, from what `sysctl -a` prints; those too that nobody has declared."""
    for line in said.splitlines():
        name, equals, value = line.partition(" = ")
        if equals:
            yield f"sysctl {name}", " ".join(value.split())


def of_cluster(driver: Driver) -> Iterator[tuple[str, Any]]:
    for path, kind in _collections(driver).items():
        for item in driver.cluster.items(path):
            yield from of_object(item, kind)


def _collections(driver: Driver) -> dict[str, str]:
    """Kind of each collection that can be listed, by its path, in the preferred version."""
    groups = (driver.cluster.get("/apis") or {}).get("groups", [])
    preferred = [group["preferredVersion"]["groupVersion"] for group in groups]
    roots, found = ["/api/v1", *(f"/apis/{version}" for version in preferred)], {}
    for root in roots:
        listing = driver.cluster.get(root)
        if listing is None:
            raise CouldNotTell(f"the API serves no {root}", next_step="kubectl api-resources")
        for entry in listing["resources"]:
            if "list" in entry["verbs"] and "/" not in entry["name"]:
                found[f"{root}/{entry['name']}"] = entry["kind"]
    return found


def of_object(item: Object, kind: str) -> Iterator[tuple[str, Any]]:
    """What an object is meant to be: all but its status, and of its metadata what somebody has written."""
    meta = item["metadata"]
    name = "/".join(filter(None, (meta.get("namespace", ""), meta["name"])))
    yield f"{kind} {name}", "there"
    kept = {"metadata": {key: meta[key] for key in OF_META if key in meta}}
    rest = {key: value for key, value in item.items() if key not in BESIDE}
    yield from facts(kept | rest, f"{kind} {name}")


def plain(value: Any) -> Any:
    """A section of an answer as plain mappings and lists."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
