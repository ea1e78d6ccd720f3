"""One command of the menu as a whole process: what it took of time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass

from lab.commands.session import ROOT
from lab.errors import FailedError


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds and the peak of resident memory (MiB), the command's own children included."""

    seconds: float
    cpu_seconds: float
    peak_mib: int


def measured(*arguments: str, env: Mapping[str, str] | None = None, ends: Container[int] = (0,)) -> Cost:
    """Run `invoke ARGUMENTS` and weigh it. Raises `FailedError` unless its exit code is one of `ends`.

    Python may keep compiled modules, as it does for people; without them its compiler would be measured.
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", *arguments], cwd=ROOT, stdout=sys.stderr, env=kept | dict(env or {})
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ends:
        raise FailedError(f"bench: invoke {' '.join(arguments)} ended with exit code {process.returncode}")
    return Cost(round(time.monotonic() - begun, 2), usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)
