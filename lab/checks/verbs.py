"""The language of acceptance tests: agrees, present, succeeds, fails, settles, becomes, stays, staying.

A test reads as sentences about the lab. Every verb names its subject; a wait also its deadline and the last
state it saw. No test sleeps. A verb raises `Mismatch` when the lab is not as it should be and lets
`CouldNotTell` through when nobody could look; a wait tolerates `CouldNotTell` until its deadline, because
what is waited for may be the very thing that makes looking possible. A wait ends badly only after a look that
began when its time was over: on a busy machine one look may take longer than all of it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from lab.checks.outcomes import CouldNotTell, Mismatch

T = TypeVar("T")

INTERVAL = 0.25
"""Seconds between two looks of a wait."""


class Refused(Exception):
    """The lab answered, and the answer was no: a refused connection, an HTTP status, a DNS error."""


def agrees(subject: str, seen: T, expected: T, *, command: str = "", host: str = "") -> None:
    """`seen` equals `expected`."""
    if seen != expected:
        raise Mismatch(subject, expected=expected, seen=seen, command=command, host=host)


def holds(subject: str, truth: bool, *, expected: str, seen: Any, command: str = "", host: str = "") -> None:
    """A condition holds; `expected` says it in words, `seen` is what was found instead."""
    if not truth:
        raise Mismatch(subject, expected=expected, seen=seen, command=command, host=host)


def present(
    subject: str, found: T | None, *, expected: str, seen: Any, command: str = "", host: str = ""
) -> T:
    """Something was found, which is given back; `seen` is what was found instead."""
    if found is None:
        raise Mismatch(subject, expected=expected, seen=seen, command=command, host=host)
    return found


def nothing(subject: str, offenders: Any, *, rule: str, command: str = "", host: str = "") -> None:
    """A collection of offenders against `rule` is empty; all of them are shown, not the first only."""
    if offenders:
        raise Mismatch(subject, expected=rule, seen=offenders, command=command, host=host)


def succeeds(
    subject: str, action: Callable[[], T], *, within: float = 0, command: str = "", host: str = ""
) -> T:
    """`action` is not refused; tried again until `within` seconds are over. Gives back what it returned."""

    def look() -> tuple[bool, Any]:
        try:
            return True, action()
        except Refused as error:
            return False, str(error)

    answer = _until(subject, look, lambda state: state[0], within, "success", command, host)
    result: T = answer[1]
    return result


def fails(subject: str, action: Callable[[], Any], *, because: str, command: str = "", host: str = "") -> str:
    """`action` is refused, and the refusal matches the pattern `because`. Gives back the refusal's text."""
    try:
        result = action()
    except Refused as error:
        text = str(error)
        if re.search(because, text):
            return text
        raise Mismatch(
            subject, expected=f"a refusal like “{because}”", seen=text, command=command, host=host
        ) from error
    raise Mismatch(
        subject, expected=f"a refusal like “{because}”", seen=f"success: {result}", command=command, host=host
    )


def settles(check: Callable[[], None], *, within: float) -> None:
    """`check`, which looks at several things one after the other, finds nothing within so many seconds.

    What it finds in the end is raised as it is.
    """
    deadline = time.monotonic() + within
    while True:
        left = deadline - time.monotonic()
        try:
            return check()
        except (Mismatch, CouldNotTell):
            if left <= 0:
                raise
        time.sleep(_pause(deadline))


def becomes(
    subject: str,
    look: Callable[[], T],
    wanted: Callable[[T], bool],
    *,
    within: float,
    expected: str,
    command: str = "",
    host: str = "",
) -> T:
    """What `look` sees satisfies `wanted` within so many seconds; gives back that state."""
    return _until(subject, look, wanted, within, expected, command, host)


def stays(
    subject: str,
    look: Callable[[], T],
    wanted: Callable[[T], bool],
    *,
    seconds: float,
    expected: str,
    command: str = "",
) -> T:
    """What `look` sees satisfies `wanted` all the time for so many seconds; gives back the last state."""
    begun = time.monotonic()
    while True:
        state = look()
        passed = time.monotonic() - begun
        if not wanted(state):
            raise Mismatch(
                f"{subject} (after {passed:.1f} of {seconds:g} s)",
                expected=f"{expected}, all the time",
                seen=state,
                command=command,
            )
        if passed >= seconds:
            return state
        time.sleep(INTERVAL)


@contextmanager
def staying(
    subject: str, look: Callable[[], T], wanted: Callable[[T], bool], *, expected: str
) -> Iterator[None]:
    """While the block runs, what `look` sees satisfies `wanted`; looked at in a thread of its own.

    The first violation is raised at the end of the block, with the second at which it was seen; an error of
    the block itself goes first.
    """
    over, begun = threading.Event(), time.monotonic()
    found: list[Exception] = []

    def watch() -> None:
        while not over.is_set() and not found:
            try:
                state = look()
            except Exception as error:
                found.append(error)
                return
            if not wanted(state):
                when = f"{subject} (after {time.monotonic() - begun:.1f} s)"
                found.append(Mismatch(when, expected=f"{expected}, all the time", seen=state))
            over.wait(INTERVAL)

    thread = threading.Thread(target=watch, name=f"watch {subject}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
    if found:
        raise found[0]


def _pause(deadline: float) -> float:
    """Seconds to the next look: the last one is at the deadline."""
    return max(0.0, min(INTERVAL, deadline - time.monotonic()))


def _until(
    subject: str,
    look: Callable[[], T],
    wanted: Callable[[T], bool],
    within: float,
    expected: str,
    command: str,
    host: str,
) -> T:
    deadline = time.monotonic() + within
    blind: CouldNotTell | None = None
    while True:
        left = deadline - time.monotonic()
        try:
            state: T = look()
            blind = None
        except CouldNotTell as error:
            blind = error
        if blind is None and wanted(state):
            return state
        if left <= 0:
            break
        time.sleep(_pause(deadline))
    if blind is not None:
        raise CouldNotTell(
            f"{subject}: {blind.message} (looked for {within:g} s)", next_step=command, cause=blind.cause
        ) from blind
    seen = state[1] if isinstance(state, tuple) and state and state[0] is False else state
    promise = f"{expected} within {within:g} s" if within else expected
    raise Mismatch(subject, expected=promise, seen=seen, command=command, host=host)
