"""Open-loop probes from outside: one question ten times a second, whether the last was answered or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused
from lab.report.series import Holder, Probe, Target

INTERVAL = 0.1
SECONDS = 1.0
"""A client's patience: an answer that takes longer is none."""
IN_FLIGHT = 16
"""Room for the questions of one patience, and some more."""


class Prober(threading.Thread):
    """Asks `ask` every tenth of a second in a rhythm of its own; a slow answer delays no other question.

    `ask` gives back who answered, takes at most `SECONDS`, and raises `Refused` without a good answer.
    """

    def __init__(self, name: str, ask: Callable[[], str], *, limit: float | None = None) -> None:
        super().__init__(name=f"probe {name}", daemon=True)
        self.target, self.limit = name, limit
        self._ask = ask
        self._probes: list[Probe] = []
        self._over = threading.Event()

    def run(self) -> None:
        """Ask until stopped."""
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            next_at = time.monotonic()
            while not self._over.is_set():
                pool.submit(self._once)
                next_at = max(next_at + INTERVAL, time.monotonic())
                self._over.wait(next_at - time.monotonic())

    def _once(self) -> None:
        began = time.monotonic()
        try:
            ok, by, why = True, self._ask(), ""
        except (Refused, CouldNotTell) as error:
            ok, by, why = False, "", str(error)
        took = (time.monotonic() - began) * 1000
        self._probes.append(Probe(t=began, ok=ok, ms=took, by=by, why=why))

    def stop(self) -> None:
        """End after the questions in flight."""
        self._over.set()
        self.join(SECONDS + 5)

    @property
    def probes(self) -> list[Probe]:
        """What was asked so far, in the order of sending."""
        return sorted(self._probes.copy(), key=lambda probe: probe.t)

    def as_target(self) -> Target:
        """Everything that was asked, for the report."""
        return Target(name=self.target, probes=tuple(self.probes), limit=self.limit)


class Sampler(threading.Thread):
    """Notes who holds something, whenever that changes. `look` gives "" for nobody."""

    def __init__(self, what: str, look: Callable[[], str], *, every: float = 1.0) -> None:
        super().__init__(name=f"sample {what}", daemon=True)
        self.holders: list[Holder] = []
        self._what, self._look, self._every = what, look, every
        self._over = threading.Event()

    def run(self) -> None:
        """Look until stopped; while nobody can be asked, nothing is noted."""
        while not self._over.is_set():
            try:
                name = self._look()
            except (Refused, CouldNotTell):
                name = None
            if name is not None and (not self.holders or self.holders[-1].name != name):
                self.holders.append(Holder(what=self._what, t=time.monotonic(), name=name))
            self._over.wait(self._every)

    def stop(self) -> None:
        """End after the look in flight."""
        self._over.set()
        self.join(15)


def longest_gap(probes: Sequence[Probe], *, since: float) -> float | None:
    """Longest time between two good questions that follow each other, after `since`; None: it stayed silent.

    Counted from sending to sending, so that patience adds nothing; the last probe closes the series.
    """
    good = [probe.t for probe in probes if probe.ok]
    if not good or good[-1] <= since:
        return None
    return max((late - early for early, late in pairwise(good) if late > since), default=0.0)


def failed_share(probes: Iterable[Probe], *, begin: float, end: float) -> float:
    """Share of the questions of a time that had no good answer, 0 to 1. Raises `ValueError` without any."""
    asked = [probe.ok for probe in probes if begin <= probe.t < end]
    if not asked:
        raise ValueError("no probe in this time")
    return asked.count(False) / len(asked)
