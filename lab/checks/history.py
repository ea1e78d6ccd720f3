"""Recorded histories of clients, and the judgement on them.

The object under test is a register: one ConfigMap that clients read, and write with compare-and-set. A write
names the version it is based on and is answered with the version it made, and every read says which version
it saw. So the order of all states is known, and a history is linearizable exactly when that order agrees
with the clients' clock: no search is needed, and the judgement takes n log n. Every value written is unique
and counts up by one, so a state that nobody wrote, or that was undone, shows.

A write that was not answered may have happened or not, also later; its end is infinite (etcd robustness
suite, Jepsen).
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby, pairwise
from operator import attrgetter


class Fate(StrEnum):
    """What a client knows about its operation."""

    OK = "ok"
    REFUSED = "refused"
    """Answered with no: it has not happened and never will."""
    UNKNOWN = "unknown"
    """Not answered: it may have happened, or may happen later."""


@dataclass(frozen=True, slots=True)
class ClientOp:
    """One operation of one client; `began` and `ended` in seconds of one monotonic clock.

    `value` is what was written, or what a good read saw; `version` the version that a good write made or a
    good read saw, 0 when nothing was answered; `base` the version a write replaces; `note` the error.
    """

    client: str
    register: str
    write: bool
    began: float
    ended: float
    fate: Fate
    value: str = ""
    version: int = 0
    base: int = 0
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether it was answered with yes."""
        return self.fate is Fate.OK

    def __str__(self) -> str:
        what = f"wrote {self.value!r} over version {self.base}" if self.write else f"read {self.value!r}"
        version = f", version {self.version}" if self.version else ""
        return f"{self.client} {self.began:.3f}-{self.ended:.3f} s: {what}{version} ({self.fate})"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch on all registers, in the order of its arrival."""

    register: str
    at: float
    version: int
    value: str

    def __str__(self) -> str:
        return f"watch {self.at:.3f} s: {self.register} is {self.value!r}, version {self.version}"


@dataclass(frozen=True)
class Contradiction:
    """A rule that the history breaks, with the fewest operations that show it."""

    rule: str
    text: str
    shown: tuple[ClientOp | WatchEvent, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.rule}: {self.text}", *(f"    {item}" for item in self.shown)])


LOST = "lost write"
_BEGIN = attrgetter("began")
_VERSION = attrgetter("version")


def judge(
    history: Iterable[ClientOp],
    watched: Sequence[WatchEvent] = (),
    *,
    since: int = 0,
    listed: Sequence[tuple[int, int]] = (),
) -> list[Contradiction]:
    """What contradicts lossless, linearizable registers and a faithful watch; empty for a good history.

    `watched` is one watch that began at version `since` and went on until it had seen the last state. Of the
    spans `listed` (after the first version, up to the second) it told the last state of each register alone.
    The history must end with a read of each register after everything else.
    """
    found: list[Contradiction] = []
    writes: list[ClientOp] = []
    by_register = sorted(history, key=attrgetter("register"))
    for register, group in groupby(by_register, key=attrgetter("register")):
        operations = sorted(group, key=_BEGIN)
        events = [event for event in watched if event.register == register]
        found += _of_register(operations, events)
        writes += (item for item in operations if item.write and item.good)
    if watched:
        found += _of_watch(watched, writes, since, listed)
    return sorted(found, key=lambda item: len(item.shown))


def _of_register(operations: list[ClientOp], events: Sequence[WatchEvent]) -> Iterator[Contradiction]:
    attempts = {item.value: item for item in operations if item.write}
    good = [item for item in operations if item.good]
    yield from _two_states(good, events)
    yield from _made_up(attempts, good, events)
    yield from _overwritten(good)
    yield from _lost(good)
    versions = {item.value: item.version for item in good} | {item.value: item.version for item in events}
    yield from _order(operations, versions)
    yield from _counting(good)


def _two_states(good: Sequence[ClientOp], events: Sequence[WatchEvent]) -> Iterator[Contradiction]:
    """A version is one state, made by one write."""
    seen: dict[int, ClientOp | WatchEvent] = {}
    made: dict[int, ClientOp] = {}
    states: list[ClientOp | WatchEvent] = [*good, *events]
    for item in states:
        other = seen.setdefault(item.version, item)
        if other.value != item.value:
            yield Contradiction("two states", f"version {item.version} has two values", (other, item))
        if isinstance(item, ClientOp) and item.write:
            first = made.setdefault(item.version, item)
            if first is not item:
                yield Contradiction("two states", f"two writes made version {item.version}", (first, item))


def _made_up(
    attempts: dict[str, ClientOp], good: Sequence[ClientOp], events: Sequence[WatchEvent]
) -> Iterator[Contradiction]:
    """What is seen was written before by a write that was not refused; the first state is nobody's."""
    first = min((item.base for item in attempts.values() if item.base), default=math.inf)
    states: list[ClientOp | WatchEvent] = [*good, *events]
    for item in states:
        if isinstance(item, ClientOp) and item.write:
            continue
        attempt = attempts.get(item.value)
        ended = item.ended if isinstance(item, ClientOp) else item.at
        if attempt is None:
            if item.version > first:
                yield Contradiction("made up", f"nobody wrote {item.value!r}", (item,))
        elif attempt.fate is Fate.REFUSED:
            yield Contradiction("made up", "a refused write happened all the same", (attempt, item))
        elif ended < attempt.began:
            yield Contradiction("made up", "seen before it was written", (item, attempt))


def _overwritten(good: Sequence[ClientOp]) -> Iterator[Contradiction]:
    """Compare-and-set: no write replaces a version that another acknowledged write had replaced."""
    writes = sorted((item for item in good if item.write), key=_VERSION)
    for item in writes:
        if item.version <= item.base:
            yield Contradiction("compare-and-set", "a write made a version not above its base", (item,))
    for early, late in pairwise(writes):
        if late.base < early.version < late.version:
            yield Contradiction(LOST, f"{early.value!r} was replaced unseen", (early, late))


def _lost(good: Sequence[ClientOp]) -> Iterator[Contradiction]:
    """The last read sees every acknowledged write, or a later state."""
    reads = [item for item in good if not item.write]
    if not reads:
        return
    last = max(reads, key=_BEGIN)
    for item in good:
        if item.write and item.ended < last.began and item.version > last.version:
            yield Contradiction(LOST, f"{item.value!r} was acknowledged and is gone", (item, last))


def _order(operations: Sequence[ClientOp], versions: dict[str, int]) -> Iterator[Contradiction]:
    """What begins after another operation has ended sees its state or a later one, and never an older."""
    ended: list[tuple[float, int, ClientOp]] = []
    newest: ClientOp | None = None
    for number, item in enumerate(operations):
        while ended and ended[0][0] < item.began:
            other = heapq.heappop(ended)[2]
            if newest is None or other.version > newest.version:
                newest = other
        # an unanswered write that was seen later has happened, at some moment after it began
        version = item.version or (versions.get(item.value, 0) if item.write else 0)
        if version and newest is not None:
            if item.write and version <= newest.version:
                yield Contradiction("order", "a write went behind a state seen before it", (newest, item))
            elif version < newest.version:
                yield Contradiction("stale read", "an older state than seen before it", (newest, item))
        if item.good:
            heapq.heappush(ended, (item.ended, number, item))


def _counting(good: Sequence[ClientOp]) -> Iterator[Contradiction]:
    """The counter in the value rises with every version."""
    states = sorted(good, key=_VERSION)
    for early, late in pairwise(states):
        if early.version < late.version and count(early.value) >= count(late.value):
            yield Contradiction("counter", "it did not rise with the version", (early, late))


def _of_watch(
    watched: Sequence[WatchEvent], writes: Iterable[ClientOp], since: int, listed: Sequence[tuple[int, int]]
) -> Iterator[Contradiction]:
    """Ordered, nothing twice, and every acknowledged write from its beginning on."""
    for early, late in pairwise(watched):
        if late.version == early.version:
            yield Contradiction("watch: duplicate", f"version {late.version} came twice", (early, late))
        elif late.version < early.version:
            yield Contradiction("watch: order", "a version went back", (early, late))
    seen = {event.version for event in watched}
    for item in writes:
        if item.version <= since or item.version in seen:
            continue
        replaced = any(
            low < item.version < event.version <= high and event.register == item.register
            for low, high in listed
            for event in watched
        )
        if not replaced:
            yield Contradiction("watch: gap", f"version {item.version} never came", (item,))


def count(value: str) -> int:
    """The counter at the beginning of a value, as in `17:writer-2`."""
    return int(value.partition(":")[0])


def lost(contradictions: Iterable[Contradiction]) -> int:
    """How many acknowledged writes are gone."""
    return len({item.shown[0] for item in contradictions if item.rule == LOST})


def gap(history: Iterable[ClientOp], *, writes: bool, since: float) -> float:
    """Longest time between the ends of two successive good operations of a kind, after `since`.

    Infinite when none succeeded after it.
    """
    good = sorted(item.ended for item in history if item.good and item.write is writes)
    pairs = [(early, late) for early, late in pairwise(good) if late > since]
    return max((late - early for early, late in pairs), default=float("inf"))


def rate(history: Iterable[ClientOp], *, begin: float, end: float) -> float:
    """Acknowledged writes a second between two moments."""
    return sum(item.write and item.good and begin <= item.ended < end for item in history) / (end - begin)


def to_json(history: Iterable[ClientOp], watched: Sequence[WatchEvent], fault_at: float) -> str:
    """A history as evidence: one operation or event a line, times relative to the fault."""
    lines = []
    for operation in sorted(history, key=_BEGIN):
        entry = asdict(operation)
        entry |= {name: round(entry[name] - fault_at, 4) for name in ("began", "ended")}
        lines.append(json.dumps(entry))
    lines += [json.dumps(asdict(event) | {"at": round(event.at - fault_at, 4)}) for event in watched]
    return "\n".join(lines) + "\n"
