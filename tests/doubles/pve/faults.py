"""Failures that a test orders: of answers, of connections, of tasks. Each strikes at its nth chance."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Strike:
    """What happens to requests that match, from the `nth` one on, `times` times.

    `status` 0 drops the connection. `after` lets the request take effect first. `seconds` is how long the
    answer takes.
    """

    method: str
    path: str
    status: int = 0
    message: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    nth: int = 1
    times: int = 1
    after: bool = False
    seconds: float = 0.0
    seen: int = 0
    struck: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Count this request if it is one of ours; whether it is struck."""
        if method != self.method or not re.fullmatch(self.path, path):
            return False
        self.seen += 1
        hit = self.nth <= self.seen < self.nth + self.times
        self.struck += hit
        return hit


@dataclass
class TaskScript:
    """What happens to a task: None and "" leave it as it is. `hidden_polls`: so many say "no such task"."""

    error: str = ""
    warning: str = ""
    seconds: float | None = None
    hidden_polls: int = 0
    no_status: bool = False


@dataclass
class _Order:
    kind: str
    id: str
    script: TaskScript
    nth: int
    times: int
    seen: int = 0


NEVER = 1e9
"""Seconds of a task that does not end."""


class Faults:
    """All that was ordered. Nothing is struck that was not ordered."""

    def __init__(self) -> None:
        self._strikes: list[Strike] = []
        self._orders: list[_Order] = []
        self._lock = threading.Lock()

    def answer(
        self,
        method: str,
        path: str,
        status: int,
        message: str,
        *,
        errors: Mapping[str, str] | None = None,
        nth: int = 1,
        times: int = 1,
        after: bool = False,
    ) -> Strike:
        """Answer so instead; with `after` the request has taken effect all the same."""
        return self._add(Strike(method, path, status, message, errors or {}, nth, times, after))

    def drop(self, method: str, path: str, *, nth: int = 1, times: int = 1, after: bool = True) -> Strike:
        """End the connection without an answer, after (or before) the request took effect."""
        return self._add(Strike(method, path, nth=nth, times=times, after=after))

    def delay(self, method: str, path: str, seconds: float, *, nth: int = 1, times: int = 1) -> Strike:
        """The request takes effect at once and its answer takes this long."""
        return self._add(Strike(method, path, 200, nth=nth, times=times, after=True, seconds=seconds))

    def tasks(self, kind: str, script: TaskScript, *, id: str = "", nth: int = 1, times: int = 1) -> None:
        """What happens to tasks of this kind (qmclone, qmstart, ...) and, if given, of this VM."""
        self._orders.append(_Order(kind, id, script, nth, times))

    def _add(self, strike: Strike) -> Strike:
        self._strikes.append(strike)
        return strike

    def strike(self, method: str, path: str) -> Strike | None:
        """The first ordered failure that this request meets; every order counts the request."""
        with self._lock:
            hits = [strike for strike in self._strikes if strike.matches(method, path)]
        return hits[0] if hits else None

    def task(self, kind: str, id: str) -> TaskScript:
        """What was ordered for a new task."""
        for order in self._orders:
            if order.kind != kind or order.id not in ("", id):
                continue
            order.seen += 1
            if order.nth <= order.seen < order.nth + order.times:
                return order.script
        return TaskScript()
