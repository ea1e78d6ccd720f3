"""This machine: one way to run its programs, with a deadline and an error that shows their output; its
networks, and folders to write in."""

from __future__ import annotations

import ctypes
import errno
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lab.errors import CommandError, DeadlineError, FailedError, PreflightError
from lab.waits import patient

Pour = Callable[[BinaryIO], object]
"""What writes all of its bytes to a stream."""

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_OWN_NETWORK = "/proc/thread-self/ns/net"


def enter_network(path: str | Path) -> None:
    """Move the calling thread into a network namespace; threads and processes it starts later are inside too.

    `path` is a file of the namespace. Raises `FailedError` when the kernel refuses it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(opened, _CLONE_NEWNET):
            why = os.strerror(ctypes.get_errno())
            raise FailedError(f"network namespace {path}: cannot be entered: {why}")
    finally:
        os.close(opened)


@contextmanager
def own_network() -> Iterator[None]:
    """After the block the thread is back in its network namespace, wherever the block has moved it."""
    opened = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        # a user who may not go back was not let away either
        try:
            if os.fstat(opened).st_ino != Path(_OWN_NETWORK).stat().st_ino:
                enter_network(f"/proc/self/fd/{opened}")
        finally:
            os.close(opened)


@dataclass(frozen=True)
class Completed:
    """What a program left: its exit code (negative: the signal that ended it) and what it printed."""

    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    input: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run `argv` to its end and give back what it printed. `timeout` is in seconds, times the lab's patience.

    The program gets a process group of its own, so a deadline or Ctrl-C ends its children too and a
    Ctrl-C on the terminal never reaches them first. Without `input` it reads from nowhere. `env` replaces
    the whole environment.

    Raises `CommandError` for another exit code than 0 (not with `check=False`), `DeadlineError` after
    `timeout` seconds, `FailedError` when there is no such program.
    """
    shown, timeout = shlex.join(argv), patient(timeout)
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        raise FailedError(f"`{shown}` cannot be started: {error.strerror}: {error.filename}") from error
    with process:
        try:
            stdout, stderr = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            raise DeadlineError(f"`{shown}`", timeout, _last_line(process)) from None
        except BaseException:
            _kill_group(process)
            raise
    if check and process.returncode:
        raise CommandError("", shown, process.returncode, stdout + stderr)
    return Completed(process.returncode, stdout, stderr)


def _last_line(process: subprocess.Popen[str]) -> str:
    """What the killed program printed last; a daemon it left may hold the pipe open, so not for ever."""
    silent = "no output"
    try:
        stdout, stderr = process.communicate(timeout=1)
    except subprocess.TimeoutExpired as error:
        # what was read until now: bytes, although the program is read as text
        stdout, stderr = (_text(error.stdout), _text(error.stderr))
        silent = "a child of it still holds its output"
    lines = (stdout + stderr).strip().splitlines()
    return lines[-1] if lines else silent


def _text(read: bytes | None) -> str:
    return (read or b"").decode("utf-8", "replace")


def _kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the program and every child that stayed in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


@contextmanager
def poured(write: Pour) -> Iterator[BinaryIO]:
    """The reading end of a pipe into which `write` writes, in a thread of its own, for a program to read.

    A reader that ends before has its own reasons, and `write` ends with it. Any other error of `write` is
    raised after the block: that the program got no more is the consequence.
    """
    reading, writing = os.pipe()

    def fill() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            write(stream)

    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(fill)
        try:
            with os.fdopen(reading, "rb") as stream:
                yield stream
        finally:
            filling.result()


def unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, or a missing one cannot be made; "" if nothing speaks against
    it. Changes nothing; root is told of a read-only file system too (access(2))."""
    for place in (folder, *folder.parents):
        try:
            if not place.is_dir():
                place.stat()
                return f"{place}: {os.strerror(errno.ENOTDIR)}"
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return f"{place}: {error.strerror}"
        if not os.access(place, os.W_OK | os.X_OK):
            return f"{place}: cannot be written"
        longest = os.pathconf(place, "PC_NAME_MAX")
        too_long = [part for part in folder.relative_to(place).parts if len(os.fsencode(part)) > longest]
        return f"{too_long[0]}: {os.strerror(errno.ENAMETOOLONG)}" if too_long else ""
    return ""


def own_folder(folder: Path) -> None:
    """Make a folder of the user's data, for nobody else. Raises `PreflightError` where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        why = unwritable(folder)
    except OSError as error:
        why = unwritable(folder) or f"{folder}: {error.strerror}"
    if why:
        raise PreflightError(
            f"{folder}: the lab's keys cannot be kept there: {why}",
            next_step="PLUMBLINE_DATA=/another/folder, or mend this one",
        )
