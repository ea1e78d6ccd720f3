"""Closed-loop clients: each has one request in flight and goes on asking while something happens.

Every request goes over a new connection, and all are recorded.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused

CLIENTS = 4
INTERVAL = 0.1
"""Seconds from the start of a client's request to its next."""


@dataclass(frozen=True)
class ClosedLoopRequest:
    """One request: when it began and how long it took, in seconds; why it failed, "" when it did not."""

    began: float
    seconds: float
    problem: str


@dataclass
class ClosedLoop:
    """What the clients lived through so far."""

    begun: float = field(default_factory=time.monotonic)
    all: list[ClosedLoopRequest] = field(default_factory=list)

    @property
    def failed(self) -> list[ClosedLoopRequest]:
        """The requests that failed."""
        return [visit for visit in self.all if visit.problem]

    @property
    def success_percent(self) -> float:
        """Share of requests that succeeded. Raises `CouldNotTell` when there was none at all."""
        if not self.all:
            raise CouldNotTell("no client has asked anything")
        return 100 * (1 - len(self.failed) / len(self.all))

    @property
    def longest(self) -> float:
        """The longest request that succeeded, in seconds."""
        return max((visit.seconds for visit in self.all if not visit.problem), default=0.0)

    def problems(self) -> list[str]:
        """Each kind of failure with its number and the second of its first."""
        kinds = Counter(visit.problem for visit in self.failed)
        first = {visit.problem: visit.began for visit in reversed(self.failed)}
        return [f"{number} x {kind} (first after {first[kind]:.1f} s)" for kind, number in kinds.items()]


@contextmanager
def closed_loop(
    ask: Callable[[], object], *, clients: int = CLIENTS, interval: float = INTERVAL
) -> Iterator[ClosedLoop]:
    """While the block runs, clients call `ask` every `interval` seconds; `Refused` is a failed request.

    Any other exception is raised at the end of the block, unless the block has one of its own.
    """
    visits, over = ClosedLoop(), threading.Event()
    broken: list[Exception] = []

    def client(number: int) -> None:
        # spread over the interval, so that requests do not come in bursts
        over.wait(interval * number / clients)
        while not over.is_set() and not broken:
            began = time.monotonic()
            problem = ""
            try:
                ask()
            except Refused as error:
                problem = str(error)
            except Exception as error:
                broken.append(error)
                return
            taken = time.monotonic() - began
            visits.all.append(ClosedLoopRequest(began - visits.begun, taken, problem))
            over.wait(max(0.0, interval - taken))

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    if broken:
        raise broken[0]
