"""What the checks of the ha layer share: one damage under traffic, and the judgement on what clients saw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.checks.alerts import alerts_since
from lab.checks.driver import Driver
from lab.checks.history import gap, lost, rate, to_json
from lab.checks.items import Measure, checks_of, short_id
from lab.checks.outcomes import CouldNotTell, NotPartOfLab
from lab.checks.outside import address_owners
from lab.checks.verbs import holds, nothing
from lab.checks.workspace import Workspace
from lab.faults.catalogue import fault
from lab.faults.inject import LiveFault
from lab.faults.traffic import API, INGRESS, WARM_UP, Traffic, traffic
from lab.report import series

STEADY = 5.0
"""Seconds for which a fault lives after what its test waits for."""


@dataclass
class FaultRun:
    """One damage while clients work. After it `traffic` and `live` tell what happened."""

    driver: Driver
    space: Workspace
    measure: Measure
    item: pytest.Item
    address: str = ""

    def announcer(self) -> str:
        """The node whose card answers ARP for the service's address, "" for nobody or two."""
        macs = address_owners(self.driver.lan_interface, self.address)
        names = {self.driver.inventory.mac(name): name for name in self.driver.inventory.nodes}
        return names.get(next(iter(macs)), "") if len(macs) == 1 else ""

    @contextmanager
    def under(
        self, name: str, host: str = "", *, seconds: float = 0, steady: float = STEADY
    ) -> Iterator[tuple[LiveFault, Traffic]]:
        """The fault lives while the block runs, and `steady` seconds more; then it is healed and judged."""
        driver = self.driver
        wanted = fault(driver.lab, name, host, seconds)
        reason = wanted.kind.unavailable(driver.lab, wanted.host)
        if reason:
            raise NotPartOfLab("provider", f"{driver.inventory.provider.value}: {name}: {reason}")
        live: LiveFault | None = None
        with traffic(driver, self.space, self.address) as clients:
            try:
                with clients.under_fault(driver, wanted) as live:
                    yield live, clients
                    live.over.wait(steady)
            finally:
                clients.stop()
                if live is not None:
                    self._keep(clients, live)
        self._judge(clients, live)

    @property
    def _history(self) -> Path:
        return self.driver.folder / "evidence" / f"history-{self.item.name.removeprefix('test_')}.jsonl"

    def _keep(self, clients: Traffic, live: LiveFault) -> None:
        """The history as evidence and the series for the report, also of a run that failed."""
        name, path = self.item.name.removeprefix("test_"), self._history
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_json(clients.history, clients.events, live.began))
        title = (self.item.function.__doc__ or name).partition("\n")[0].rstrip(".")  # type: ignore[attr-defined]
        alerts = alerts_since(self.driver, live.began)
        story = clients.series(title, live, checks_of(self.item), short_id(self.item.nodeid), alerts)
        series.write(story, self.driver.folder, name)

    def _judge(self, clients: Traffic, live: LiveFault) -> None:
        """Enough writes to tell anything, none of them lost, nothing contradictory.

        What the ingress was through is told and not judged: no row gives it a limit.
        """
        silent = clients.silences(since=live.began)
        if INGRESS in silent:
            self.measure("longest silence of the ingress", _never(silent[INGRESS]), "s")
        least = self.driver.inventory.thresholds.minimum_writes_per_second
        before = self.measure(
            "acknowledged writes a second before the fault",
            rate(clients.history, begin=live.began - WARM_UP, end=live.began),
            "1/s",
        )
        if before < least:
            raise CouldNotTell(
                f"void: {before:.1f} acknowledged writes a second before the fault; "
                f"{least:g} are needed to tell anything"
            )
        self.measure("acknowledged writes lost", lost(clients.contradictions), "writes", 0)
        nothing(
            "contradictions in the clients' history",
            [str(item) for item in clients.contradictions[:10]],
            rule="none",
            command=f"less {self._history}",
        )

    def gaps_within(self, clients: Traffic, live: LiveFault, limit: float) -> None:
        """Neither new connections nor writers waited longer than `limit` seconds."""
        # both are measured before either is judged
        reads = _never(clients.silences(since=live.began)[API])
        writes = gap(clients.history, writes=True, since=live.began)
        self.measure("API gap for new connections", reads, "s", limit)
        self.measure("longest time without an acknowledged write", writes, "s", limit)
        for subject, seen in (("new connections", reads), ("acknowledged writes", writes)):
            holds(f"API gap for {subject}", seen <= limit, expected=f"<= {limit:g} s", seen=f"{seen:.2f} s")


def _never(seconds: float | None) -> float:
    """A gap that had no end is longer than any time."""
    return math.inf if seconds is None else seconds
