"""The frame around a command: console, run folder, lock, and errors as one block with an exit code.

Every command imports this module, so what only some need (a lab, a terminal's colours) is imported where it
is used: `invoke validate` is run at every save of a file.
"""

from __future__ import annotations

import errno
import functools
import inspect
import logging
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from lab.commands.early import INTERRUPTED
from lab.commands.hints import with_options
from lab.errors import FailedError, InputError, PlumblineError, PreflightError
from lab.inventory import Inventory, load
from lab.parts import at
from lab.runs import Run, mask

if TYPE_CHECKING:
    from lab.console import Console
    from lab.labs import Lab

ROOT = Path(__file__).resolve().parents[2]
ON_HOSTS = "what was begun on a host goes on there; the same command again finishes it"
OF_ARTEFACTS = "what is finished is kept and nothing half is trusted; the same command again goes on"
"""What is said after Ctrl-C, by what was at work."""
READER_GONE = 141
"""128 + SIGPIPE."""

log = logging.getLogger("plumbline")


def shown(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a command raises into one block on standard error and an exit code.

    Our own errors say field or host, value, rule and next command. Anything else is a defect: one line, and
    the traceback with `--verbose`; the debug log of the run has it in any case.
    """

    signature = inspect.signature(command)

    @functools.wraps(command)
    def wrapped(*args: Any, verbose: bool = False, **kwargs: Any) -> None:
        chosen = signature.bind_partial(*args, **kwargs).arguments
        try:
            with _interruptible():
                command(*args, **kwargs)
        except PlumblineError as error:
            if verbose:
                traceback.print_exc()
            _tell(mask(with_options(f"error: {error}", chosen)))
            raise Exit(code=error.exit_code) from error
        except KeyboardInterrupt as error:
            _tell(str(error) or "stopped")
            raise Exit(code=INTERRUPTED) from error
        except BrokenPipeError as error:
            # the reader (`| head`) has gone; Python would complain once more when it closes the stream
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(code=READER_GONE) from error
        except Exit:
            raise
        except Exception as error:
            if verbose:
                traceback.print_exc()
            ours = understood(error)
            _tell(mask(f"error: {ours}"))
            raise Exit(code=ours.exit_code) from error

    return wrapped


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and a termination are an exception while the block runs; around it the process just ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGINT] is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # who set it without Python's knowledge keeps ours
                signal.signal(number, handler)


@contextmanager
def stopping(told: str) -> Iterator[None]:
    """Say after Ctrl-C what became of what was begun, unless whoever is within has said it already."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(str(error) or f"stopped: {told}") from None


def understood(error: Exception) -> PlumblineError:
    """An error as one of ours: a full disk, whoever met it, a folder of the user's that cannot be used, or a
    defect of Plumbline."""
    if isinstance(error, PlumblineError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(error)
    if isinstance(error, OSError) and (ours := _unusable(error)):
        return ours
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        # what we name ourselves is short: somebody typed it
        return InputError(f"{error.filename}: {error.strerror}", next_step="correct the path that was given")
    place = f" ({at(error)})" if at(error) else ""
    what = f"this is a defect of Plumbline: {type(error).__name__}: {error}{place}"
    return FailedError(what, next_step="again with --verbose")


def _full(error: OSError) -> PlumblineError:
    """The error of write(2) has no path, so the folders in which we write are asked which of them is full."""
    from lab.artifacts.kept import cache_folder
    from lab.ssh import data_folder

    known = (ROOT / ".lab", data_folder(), cache_folder(), Path(tempfile.gettempdir()))
    full = [str(path) for path in known if path.is_dir() and shutil.disk_usage(path).free < 2**20]
    where = error.filename or ", ".join(full) or "a file that was being written"
    return FailedError(
        f"{where}: {error.strerror}", next_step="df -h; free some space there, then the same command again"
    )


def _unusable(error: OSError) -> PlumblineError | None:
    """An error about something in a folder that the user names: a file in the way, a name that cannot be,
    what another user has closed."""
    from lab.artifacts.kept import cache_folder
    from lab.ssh import data_folder

    known = {"PLUMBLINE_DATA": data_folder(), "PLUMBLINE_CACHE": cache_folder()}
    if machines := os.environ.get("PLUMBLINE_MACHINES"):
        known["PLUMBLINE_MACHINES"] = Path(machines).absolute()
    for variable, folder in known.items():
        for named in (error.filename, error.filename2):
            if isinstance(named, str) and Path(named).is_relative_to(folder):
                return PreflightError(
                    f"{named}: {error.strerror}",
                    next_step=f"{variable}=/another/folder, or mend what is in the way in {folder}",
                )
    return None


def _tell(text: str) -> None:
    from lab.console import fail

    fail(text)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@dataclass
class Session:
    """One command at work on one lab."""

    inventory: Inventory
    lab: Lab
    console: Console
    run: Run
    healed: tuple[str, ...] = ()
    """What was said about damage that a crashed command had left."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """The options with which the user named the lab."""

    def hint(self, text: str) -> str:
        """The text with the user's own options in each command it proposes."""
        return with_options(text, self.chosen)


def read(inventory: str, provider: str = "") -> Inventory:
    """The inventory a command names, with its notes printed. Raises `InputError` with every error."""
    found = load(inventory, provider=provider or None)
    for note in found.notes:
        aside(f"note: {note}")
    return found


def aside(line: str) -> None:
    """Tell a person something that is no part of what the command prints."""
    print(line, file=sys.stderr)


def tell_warnings(inventory: Inventory) -> None:
    """Print what the inventory's rules warn of, a line each: for commands that see what would be built."""
    for line in inventory.warnings:
        aside(line)


@contextmanager
def session(
    name: str,
    inventory: str,
    provider: str = "",
    backend: str = "",
    *,
    mends: bool = True,
    reads: bool = False,
) -> Iterator[Session]:
    """Console and run folder of a command; the log is closed at the end.

    What a crashed command left broken in the lab is undone first, but for a command that sees to it itself.
    `reads` is for one that begins nothing on a host.
    """
    from lab.console import Console
    from lab.labs import Lab

    found = read(inventory, provider)
    run = Run(ROOT, found.lab, name)
    try:
        with nullcontext() if reads else stopping(ON_HOSTS), Console() as console:
            lab = Lab.open(found, ROOT, backend)
            healed = _mended(lab, console.say) if mends else ()
            yield Session(found, lab, console, run, healed, {"inventory": inventory, "provider": provider})
    except BaseException:
        log.exception("the command ended by an error")
        raise
    finally:
        run.close()


def open_lab(inventory: Inventory) -> Lab:
    """The lab of a command without a run folder, mended as a session's is; it is told on standard error."""
    from lab.labs import Lab

    lab = Lab.open(inventory, ROOT)
    _mended(lab, aside)
    return lab


def _mended(lab: Lab, say: Callable[[str], None]) -> tuple[str, ...]:
    from lab.damage import Journal

    if not Journal(lab).entries():
        return ()
    from lab.faults.recovery import mend  # slow to import, and seldom needed

    return mend(lab, say)
