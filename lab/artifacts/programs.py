"""Running compilers and other long programs: output to a log, progress lines, no orphans."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.errors import CommandError, FailedError, PreflightError

_running: set[subprocess.Popen[str]] = set()
_ends: set[Callable[[], None]] = set()
_guard = threading.Lock()
_stopped = threading.Event()

# Dies with us, even when we are killed: nothing may go on writing into a folder that the next run sweeps.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
# Also takes along every child and every mount: for programs that mount or start daemons.
APART = (*WITH_PARENT, "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")


def run(
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    apart: bool = False,
    each_line: Callable[[str], None] | None = None,
    watch: Callable[[], str] | None = None,
) -> float:
    """Run a program to its end; its output goes to `log`. Gives back the seconds it took.

    `env` replaces the environment; `watch` is asked every second, and the program is killed when it says
    anything, which is then the last line of the output. Raises `CommandError` with the end of the output
    when it fails, and `PreflightError` when the program is not installed.
    """
    still_wanted(command[0])
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        process = _begin([*(APART if apart else WITH_PARENT), *command], cwd, env)
        try:
            with _watched(process, watch) as said:
                for line in process.stdout or ():
                    out.write(line)
                    out.flush()
                    if each_line:
                        each_line(line.rstrip("\n"))
                code = process.wait()
            out.writelines(said)
        finally:
            _end(process)
    if code:
        raise CommandError("", " ".join(command), code, tail(log), next_step=f"less {log}")
    return time.monotonic() - started


def _begin(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None) -> subprocess.Popen[str]:
    # with the guard held: whoever stops the work finds every program that has been started
    with _guard:
        still_wanted(command[0])
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise PreflightError(
                f"{error.filename}: no such program", next_step="apt-get install util-linux"
            ) from None
        _running.add(process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    with _guard:
        _running.discard(process)
    if process.poll() is None:
        process.kill()
        process.wait()


@contextmanager
def _watched(process: subprocess.Popen[str], watch: Callable[[], str] | None) -> Iterator[list[str]]:
    """Ask `watch` every second while a program runs; gives the list that gets what it said."""
    said: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while watch and not said and not ended.wait(1.0):
            if what := watch():
                said.append(what)
                process.kill()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        ended.set()
        thread.join()


def still_wanted(what: str) -> None:
    """Raise `FailedError` once the work is being stopped: nothing new is begun then."""
    if _stopped.is_set():
        raise FailedError(f"{what}: not gone on with, the work is being stopped")


@contextmanager
def stopped_by(end: Callable[[], None], what: str) -> Iterator[None]:
    """While this lasts, `end` is called when the work is being stopped, so that what waits returns."""
    with _guard:
        still_wanted(what)
        _ends.add(end)
    try:
        yield
    finally:
        with _guard:
            _ends.discard(end)


def pause(seconds: float) -> None:
    """Wait before another try, or until the work is being stopped."""
    _stopped.wait(seconds)
    still_wanted("another try")


def start_anew() -> None:
    """Let programs run again after `stop_all`."""
    _stopped.clear()


def stop_all() -> None:
    """Kill every program that `run` is waiting for, in whatever thread, end what else waits, and start no
    more."""
    _stopped.set()
    with _guard:
        for process in _running:
            process.kill()
        for end in _ends:
            end()


def tail(log: Path, size: int = 4000) -> str:
    """The end of a log, at most `size` bytes."""
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - size))
        return stream.read().decode(errors="replace")
