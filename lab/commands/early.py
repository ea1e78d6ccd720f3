"""Ctrl-C while a command is still being imported, and after it has ended: one line and an exit code.

`tasks.py` imports this first. An exception in the middle of an import would be swallowed by whoever imports
what may be missing, told as "ignored" by the import system, or ended by Invoke with 1. Nothing is begun then,
so the process simply ends. `lab.commands.session.shown` takes over while the command runs. In the third of a
second before, Python and Invoke start, and a Ctrl-C is Python's own traceback: nothing of ours is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130
"""128 + SIGINT, as shells count it."""
_PROGRAM = "invoke.main"
"""Who imports the menu for something else, a test say, keeps its own Ctrl-C."""


def _end(_number: int, _frame: FrameType | None) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # it may be in the middle of that
            stream.flush()
    os.write(2, b"stopped\n")
    os._exit(INTERRUPTED)


# who was started with it ignored, as what a script puts into the background, goes on ignoring it
if _PROGRAM in sys.modules and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
