"""Running compilers and other long programs: output to a log, progress lines, no orphans."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import CommandError, FailedError, PreflightError

_running: set[subprocess.Popen[str]] = set()
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
) -> float:
    """Run a program to its end; its output goes to `log`. Gives back the seconds it took.

    `env` replaces the environment. Raises `CommandError` with the end of the output when it fails, and
    `PreflightError` when the program is not installed.
    """
    if _stopped.is_set():
        raise FailedError(f"{command[0]}: not started, the work is being stopped")
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        process = _begin([*(APART if apart else WITH_PARENT), *command], cwd, env)
        try:
            for line in process.stdout or ():
                out.write(line)
                out.flush()
                if each_line:
                    each_line(line.rstrip("\n"))
            code = process.wait()
        finally:
            _end(process)
    if code:
        raise CommandError("", " ".join(command), code, tail(log), next_step=f"less {log}")
    return time.monotonic() - started


def _begin(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None) -> subprocess.Popen[str]:
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
    with _guard:
        _running.add(process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    with _guard:
        _running.discard(process)
    if process.poll() is None:
        process.kill()
        process.wait()


def start_anew() -> None:
    """Let programs run again after `stop_all`."""
    _stopped.clear()


def stop_all() -> None:
    """Kill every program that `run` is waiting for, in whatever thread, and start no more."""
    _stopped.set()
    with _guard:
        for process in _running:
            process.kill()


def tail(log: Path, size: int = 4000) -> str:
    """The end of a log, at most `size` bytes."""
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - size))
        return stream.read().decode(errors="replace")
