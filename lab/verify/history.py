"""Recorded histories of clients, and the judgement on them.

The object under test is a list to which clients append numbers and which they read, each operation with its
beginning and end on one clock. A lossless, never stale system is easy to tell from any other on such a list:
every read is a beginning of the final list. An append that was not answered may have happened or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise


class Fate(StrEnum):
    """What a client knows about its operation."""

    OK = "ok"
    REFUSED = "refused"
    """Answered with no: it has not happened and never will."""
    UNKNOWN = "unknown"
    """Not answered: it may have happened, or may happen later."""


@dataclass(frozen=True)
class Operation:
    """One operation of one client; `began` and `ended` in seconds of one monotonic clock.

    `number` is what was appended, None for a read; `seen` what a good read returned; `note` the error.
    """

    client: str
    began: float
    ended: float
    fate: Fate
    number: int | None = None
    seen: tuple[int, ...] = ()
    note: str = ""

    @property
    def is_append(self) -> bool:
        """Whether it is an append; otherwise a read."""
        return self.number is not None


def problems(history: Iterable[Operation], final: Sequence[int]) -> list[str]:
    """What contradicts a lossless, linearizable list; empty for a good history.

    `final` is the list as read after the last operation had ended.
    """
    operations = sorted(history, key=lambda operation: operation.began)
    appends = {operation.number: operation for operation in operations if operation.is_append}
    reads = [operation for operation in operations if not operation.is_append and operation.fate is Fate.OK]
    return [
        *_lost(appends, final),
        *_made_up(appends, final),
        *_out_of_order(appends, final),
        *_bad_reads(appends, reads, final),
        *_going_back(reads),
    ]


def _lost(appends: dict[int | None, Operation], final: Sequence[int]) -> list[str]:
    there = set(final)
    return [
        f"acknowledged write {number} is lost"
        for number, operation in appends.items()
        if operation.fate is Fate.OK and number not in there
    ]


def _made_up(appends: dict[int | None, Operation], final: Sequence[int]) -> list[str]:
    found = [
        f"{number} stands in the list twice" for number in sorted({n for n in final if final.count(n) > 1})
    ]
    for number in dict.fromkeys(final):
        operation = appends.get(number)
        if operation is None:
            found.append(f"{number} stands in the list and was never written")
        elif operation.fate is Fate.REFUSED:
            found.append(f"write {number} was refused and happened all the same")
    return found


def _out_of_order(appends: dict[int | None, Operation], final: Sequence[int]) -> list[str]:
    """A write that ended before another began stands before it: the latest beginning so far must not pass."""
    found, latest = [], None
    for number in final:
        operation = appends.get(number)
        if operation is None:
            continue
        ended = operation.ended if operation.fate is Fate.OK else float("inf")
        if latest is not None and ended < latest.began:
            found.append(f"write {number} stands after {latest.number}, which began after it had ended")
        if latest is None or operation.began > latest.began:
            latest = operation
    return found


def _bad_reads(
    appends: dict[int | None, Operation], reads: Sequence[Operation], final: Sequence[int]
) -> list[str]:
    found = []
    whole = tuple(final)
    acknowledged = sorted(
        (operation for operation in appends.values() if operation.fate is Fate.OK), key=lambda o: o.ended
    )
    for read in reads:
        if read.seen != whole[: len(read.seen)]:
            found.append(f"{read.client} at {read.began:.2f} s read a list that is no part of the final one")
            continue
        there = set(read.seen)
        missing = [o.number for o in acknowledged if o.ended < read.began and o.number not in there]
        if missing:
            found.append(
                f"{read.client} at {read.began:.2f} s read an old list: "
                f"write {missing[-1]} had been acknowledged"
            )
        early = [n for n in read.seen if n in appends and appends[n].began > read.ended]
        if early:
            found.append(f"{read.client} at {read.began:.2f} s read {early[0]} before it was written")
    return found


def _going_back(reads: Sequence[Operation]) -> list[str]:
    """A read that begins after another has ended never sees less."""
    found: list[str] = []
    ended = sorted(reads, key=lambda read: read.ended)
    longest, position = 0, 0
    for read in reads:
        while position < len(ended) and ended[position].ended < read.began:
            longest = max(longest, len(ended[position].seen))
            position += 1
        if len(read.seen) < longest:
            found.append(
                f"{read.client} at {read.began:.2f} s: the list went back from {longest} to {len(read.seen)}"
            )
    return found


def gap(history: Iterable[Operation], *, appends: bool, since: float) -> float:
    """Longest time between the ends of two successive good operations of a kind, after `since`.

    Infinite when none succeeded after it.
    """
    good = sorted(
        operation.ended
        for operation in history
        if operation.fate is Fate.OK and operation.is_append is appends
    )
    pairs = [(early, late) for early, late in pairwise(good) if late > since]
    return max((late - early for early, late in pairs), default=float("inf"))


def rate(history: Iterable[Operation], *, begin: float, end: float) -> float:
    """Acknowledged writes a second between two moments."""
    done = [o for o in history if o.is_append and o.fate is Fate.OK and begin <= o.ended < end]
    return len(done) / (end - begin)


def to_json(history: Iterable[Operation], final: Sequence[int], fault_at: float) -> str:
    """A history as evidence: one operation a line, times relative to the fault."""
    lines = []
    for operation in sorted(history, key=lambda o: o.began):
        entry = asdict(operation) | {
            "began": round(operation.began - fault_at, 4),
            "ended": round(operation.ended - fault_at, 4),
            "seen": len(operation.seen),
        }
        lines.append(json.dumps(entry))
    return "\n".join([*lines, json.dumps({"final": list(final)})]) + "\n"
