"""Prometheus' targets beside the inventory: which are missing, strange, labelled otherwise, down or slow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from addons.prometheus.section_jobs import Job, hosts_of, jobs, targets
from lab.addons import selected
from lab.addons.model import Metrics
from lab.inventory.models import Inventory

QUICK_SHARE = 0.25
"""Of the pause between two looks, within which nineteen of twenty targets answer."""
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class ScrapeTarget:
    """One active target as Prometheus tells it; times in seconds."""

    job: str
    labels: Mapping[str, str]
    health: str
    error: str
    took: float
    interval: float

    @property
    def instance(self) -> str:
        """Its address."""
        return self.labels.get("instance", "")

    @property
    def title(self) -> str:
        """For people: job, machine and address."""
        return " ".join(word for word in (f"{self.job}:", self.labels.get("host", ""), self.instance) if word)


def active(data: Mapping[str, Any]) -> list[ScrapeTarget]:
    """The active targets of an answer of /api/v1/targets."""
    return [
        ScrapeTarget(
            job=item["scrapePool"],
            labels=item["labels"],
            health=item["health"],
            error=item["lastError"],
            took=item["lastScrapeDuration"],
            interval=seconds(item["scrapeInterval"]),
        )
        for item in data["activeTargets"]
    ]


def seconds(duration: str) -> float:
    """A duration of Prometheus' in seconds, as `1m30s`."""
    total, number = 0.0, ""
    rest = duration
    while rest:
        if rest[0].isdigit():
            number, rest = number + rest[0], rest[1:]
            continue
        unit = "ms" if rest.startswith("ms") else rest[0]
        total, number, rest = total + int(number) * UNITS[unit], "", rest[len(unit) :]
    return total


def differences(inventory: Inventory, found: Sequence[ScrapeTarget]) -> list[str]:
    """Every way in which the targets are not those of the inventory, by its job and machine; sorted."""
    by_job: dict[str, list[ScrapeTarget]] = {}
    for target in found:
        by_job.setdefault(target.job, []).append(target)
    wrong = [f"{job}: a job that is none of the inventory's" for job in by_job.keys() - targets(inventory)]
    for job in jobs(inventory):
        wrong += _of_machines(inventory, job, by_job.get(job.name, []))
    for item in (item for addon in selected(inventory) for item in addon.metrics):
        wrong += _of_pods(inventory, item, by_job.get(item.job, []))
    return sorted(wrong)


def _of_machines(inventory: Inventory, job: Job, found: Sequence[ScrapeTarget]) -> Iterator[str]:
    wanted = {f"{inventory.addresses[name]}:{job.port}": name for name in hosts_of(inventory, job)}
    there = {target.instance: target for target in found}
    for instance in there.keys() - wanted:
        yield f"{there[instance].title}: nothing that the inventory names"
    for instance, name in wanted.items():
        if instance not in there:
            yield f"{job.name}: {name} {instance}: is no target"
            continue
        host, labels = inventory.hosts[name], there[instance].labels
        right = {"job": job.name, "host": name, "role": host.role.value, "arch": host.arch.value}
        for label, value in right.items():
            if labels.get(label) != value:
                yield f"{job.name}: {name} {instance}: label {label} is {labels.get(label)}, not {value}"


def _of_pods(inventory: Inventory, item: Metrics, found: Sequence[ScrapeTarget]) -> Iterator[str]:
    wanted = targets(inventory)[item.job]
    if len(found) != wanted:
        yield f"{item.job}: {len(found)} of {wanted} targets"
    ports = Counter(target.instance.rpartition(":")[2] for target in found)
    for port in ports.keys() - {str(port) for port in item.ports}:
        yield f"{item.job}: port {port}, which is none of {', '.join(map(str, item.ports))}"
    on_each_node = all(pods.count == "nodes" for pods in item.pods)
    if on_each_node and not item.own_labels:
        hosts = Counter(target.labels.get("host", "nowhere") for target in found)
        for name in inventory.nodes:
            if hosts[name] != len(item.pods) * len(item.ports):
                yield f"{item.job}: {hosts[name]} targets on {name}"


def down(found: Sequence[ScrapeTarget]) -> list[str]:
    """Targets that are not up, with the last error; sorted."""
    return sorted(f"{one.title}: {one.health}: {one.error}" for one in found if one.health != "up")


def slow(found: Sequence[ScrapeTarget]) -> dict[str, str]:
    """Jobs of which fewer than nineteen of twenty targets answered quickly, and how long these took."""
    told = {}
    for job in sorted({target.job for target in found}):
        own = sorted((one for one in found if one.job == job), key=lambda one: one.took)
        late = own[(len(own) * 19 - 1) // 20]
        if late.took > QUICK_SHARE * late.interval:
            told[job] = f"{late.title}: {late.took:.1f} s of {late.interval:g} s"
    return told
