"""Waiting: every wait has a subject, a deadline and a last observed state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from lab.errors import DeadlineError, PlumblineError

T = TypeVar("T")

_factor = 1.0


def be_patient(factor: float) -> None:
    """From here on this process waits `factor` times as long for everything: the inventory's `patience`."""
    global _factor
    _factor = factor


def patient(seconds: float) -> float:
    """Seconds that a wait or a command really gets on this lab's machines."""
    return seconds * _factor


class NotYet(Exception):
    """Raised by a probe: what it saw instead of what is waited for."""


def wait_for(
    subject: str,
    probe: Callable[[], T],
    *,
    seconds: float,
    interval: float = 0.2,
    next_step: str = "",
) -> T:
    """Call `probe` until it returns; give back what it returned.

    The probe raises `NotYet(state)` to go on waiting. Every other exception is hopeless and ends the
    wait at once. Raises `DeadlineError` with the last state after `seconds`, times the lab's patience.
    """
    seconds, interval = patient(seconds), patient(interval)  # a slow machine is asked less often, too
    deadline = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except NotYet as state:
            last = str(state)
        if time.monotonic() + interval > deadline:
            raise DeadlineError(subject, seconds, last, next_step=next_step)
        time.sleep(interval)


def still(error: Exception) -> NotYet:
    """Turn an expected failure of a probe into a state worth printing (its first line)."""
    text = error.message if isinstance(error, PlumblineError) else str(error)
    return NotYet(text.strip().splitlines()[0] if text.strip() else type(error).__name__)
