"""How long a test waits for what must come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import DeadlineError

SOON = 180.0
"""Seconds. The number guards against hanging alone and says nothing about how fast anything is: a machine
that has twenty times the work that it can do is no defect."""


def late_once_begun(begun: Path, work: Callable[[float], object]) -> DeadlineError:
    """The missed deadline of a program that never ends, and makes the file `begun` before it hangs.

    `work` runs it for so many seconds. On a busy machine they may be over before the program has begun: then
    it gets twice as many.
    """
    seconds = 0.5
    while seconds <= SOON:
        with pytest.raises(DeadlineError) as late:
            work(seconds)
        if begun.exists():
            return late.value
        seconds *= 2
    raise AssertionError(f"{begun.name}: not made within {seconds / 2:g} s")
