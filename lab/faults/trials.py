"""Trials: the same fault again and again, and what clients lived through each time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.history import lost
from lab.checks.outside import arp_owners
from lab.checks.sample_app import SAMPLE, sample
from lab.checks.verbs import becomes
from lab.checks.workspace import Workspace, workspace
from lab.faults.catalogue import fault
from lab.faults.probes import failed_share
from lab.faults.traffic import ADDRESS, API, INGRESS, traffic
from lab.objects import is_ready
from lab.report.series import Gaps, Series

LEADER, ANNOUNCER = "etcd-leader", "announcer"
"""Words for a host that is looked for before each trial."""
REPLICAS = 2
SETTLED = 15.0
"""Seconds after which failures must be below one in a hundred."""
WINDOW = 15.0
"""Length of the time behind it in which they are counted."""
MOVED = 60.0
"""Seconds within which the pods of a dead machine must run elsewhere."""
POLL = 0.5
FIGURES = {API: "api_gap_seconds", ADDRESS: "address_silence_seconds", INGRESS: "ingress_silence_seconds"}
"""What the longest gap of a target is called in the summary."""


@dataclass(frozen=True)
class Trial:
    """One fault as clients saw it; None for what never came back while it lived.

    `silences` are the longest gaps in seconds by target, `failed` the share of the requests to the address
    that failed from 15 to 30 s after the damage, `moved` the seconds until all replicas ran elsewhere, `lost`
    acknowledged writes that are gone, `wrong` all contradictions of the history.
    """

    host: str
    silences: dict[str, float | None]
    failed: float
    moved: float | None
    lost: int
    wrong: int


def trial(driver: Driver, name: str, host: str) -> tuple[Trial, Series]:
    """Inject the fault once under traffic and heal it; the lab is healthy before and after.

    `host` is a name, `etcd-leader` or `announcer`. The series is all that was asked, as evidence. Raises what
    the gates and the fault raise.
    """
    with workspace(driver, "trial") as space:
        address = sample(space, REPLICAS)
        wanted = fault(driver.lab, name, _victim(driver, host, address))
        with traffic(driver, space, address) as clients, clients.under_fault(driver, wanted) as live:
            moved = _await_move(space, wanted.host, live.began, live.over.wait)
            live.over.wait(max(0.0, live.began + SETTLED + WINDOW - time.monotonic()))
            ended = time.monotonic()
        begin = live.began + SETTLED
        seen = Trial(
            host=wanted.host,
            silences=clients.silences(since=live.began, until=ended),
            failed=failed_share(clients.probes(ADDRESS).probes, begin=begin, end=begin + WINDOW),
            moved=moved,
            lost=lost(clients.contradictions),
            wrong=len(clients.contradictions),
        )
        return seen, clients.series(wanted.title, live)


def _victim(driver: Driver, host: str, address: str) -> str:
    if host == LEADER:
        return health.etcd_leader(driver, health.etcd_names(driver))
    if host == ANNOUNCER:
        names = {driver.inventory.mac(name): name for name in driver.inventory.nodes}
        (mac,) = becomes(
            f"owner of {address}",
            lambda: tuple(arp_owners(driver.lan_interface, address)),
            lambda macs: len(macs) == 1,
            within=15,
            expected="one node",
        )
        return names[mac]
    return host


def _await_move(space: Workspace, dead: str, began: float, wait: Callable[[float], bool]) -> float | None:
    """Seconds until all replicas are ready on other machines than the dead one; None: not in time."""
    while (passed := time.monotonic() - began) < MOVED:
        pods = [pod for pod in space.pods(SAMPLE) if pod["spec"].get("nodeName") != dead and is_ready(pod)]
        if len(pods) >= REPLICAS:
            return passed
        wait(POLL)
    return None


def percentile(values: Iterable[float | None], share: float) -> float | None:
    """The nearest-rank percentile; None, which is longer than any time, where it never came back."""
    ordered = sorted(math.inf if value is None else value for value in values)
    found = ordered[max(0, math.ceil(share * len(ordered)) - 1)]
    return None if math.isinf(found) else found


def summary(trials: Sequence[Trial]) -> dict[str, dict[str, float | None]]:
    """p50, p95 and max of each figure."""
    figures: dict[str, list[float | None]] = {
        **{FIGURES[target]: [item.silences[target] for item in trials] for target in trials[0].silences},
        "failed_share_after_15_s": [item.failed for item in trials],
        "pods_elsewhere_seconds": [item.moved for item in trials],
        "lost_writes": [float(item.lost) for item in trials],
        "contradictions": [float(item.wrong) for item in trials],
    }
    return {
        name: {
            "p50": percentile(values, 0.5),
            "p95": percentile(values, 0.95),
            "max": percentile(values, 1.0),
        }
        for name, values in figures.items()
    }


def gaps(name: str, trials: Sequence[Trial]) -> tuple[Gaps, ...]:
    """The trials for the report's histograms."""
    return (
        *(
            Gaps(
                name=f"{target}: silence after {name}",
                seconds=tuple(item.silences[target] for item in trials),
            )
            for target in trials[0].silences
        ),
        Gaps(name=f"pods elsewhere after {name}", seconds=tuple(item.moved for item in trials), limit=MOVED),
    )
