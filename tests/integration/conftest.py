"""One real lab for the tests of this folder, worked on by the commands that people type."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.waits import wait_for
from tests.ended import ended
from tests.soon import SOON

ROOT = Path(__file__).parents[2]
NAME = "proving"
BUILD_SECONDS = 900
DEAD_PROXIES = {
    "HTTP_PROXY": "http://127.0.0.1:1",
    "https_proxy": "http://127.0.0.1:1",
    "ALL_PROXY": "socks5h://127.0.0.1:1",
}
"""Nobody listens there: a command that asks the lab by one of them fails."""


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code, and both of its streams together."""

    code: int
    output: str


@dataclass(frozen=True)
class Proving:
    """The lab under test, reached by commands; looked at through the library."""

    inventory: Path
    mounts: list[str]
    """What was mounted before the lab was made."""

    def invoke(self, *arguments: str, seconds: float = BUILD_SECONDS) -> Done:
        """Run one task on the lab to its end."""
        done = subprocess.run(
            self._argv(arguments),
            cwd=ROOT,
            env={**os.environ, **DEAD_PROXIES},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Done(done.returncode, done.stdout + done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one task and leave it running, in a session of its own."""
        return subprocess.Popen(
            self._argv(arguments),
            cwd=ROOT,
            env={**os.environ, **DEAD_PROXIES},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _argv(self, arguments: tuple[str, ...]) -> list[str]:
        task, *rest = arguments
        return [sys.executable, "-m", "invoke", task, "-i", str(self.inventory), *rest]

    def run(self, host: str, command: str) -> str:
        """Output of a command that root runs on a host; this process stays in its own network."""
        config = ROOT / ".lab" / NAME / "ssh" / "ssh_config"
        inside = [
            "nsenter",
            f"--net=/run/netns/plumbline-{NAME}",
            "ssh",
            "-F",
            str(config),
            "-o",
            "BatchMode=yes",
        ]
        remote = f"sudo sh -c {shlex.quote(command)}"
        done = subprocess.run(
            [*inside, host, remote], capture_output=True, text=True, timeout=SOON, check=False
        )
        assert done.returncode == 0, f"{host}: {command}: {done.stderr}"
        return done.stdout

    def newest_run(self) -> Path:
        """Folder of the newest run."""
        return (ROOT / ".lab" / NAME / "runs" / "last").resolve()

    def until(self, process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
        """Wait until something is seen that a running task does."""
        deadline = time.monotonic() + BUILD_SECONDS
        while not seen():
            assert process.poll() is None, "the task ended before that was seen"
            assert time.monotonic() < deadline, "that was never seen"
            time.sleep(0.1)

    def timeline(self) -> list[dict[str, Any]]:
        """Events of the newest run; none while it has not begun."""
        path = ROOT / ".lab" / NAME / "runs" / "last" / "timeline.json"
        try:
            events: list[dict[str, Any]] = json.loads(path.read_text())["events"]
        except (OSError, ValueError):
            return []
        return events

    def kill_in(self, phase: str, *arguments: str) -> bool:
        """Run a task, `build` unless told, and kill -9 it as soon as it works on `phase` (or `phase:host`).

        False when it ended first.
        """
        before = len(list((ROOT / ".lab" / NAME / "runs").glob("*Z")))
        process = self.start(*(arguments or ("build",)))
        deadline = time.monotonic() + BUILD_SECONDS
        while process.poll() is None:
            assert time.monotonic() < deadline, f"the task neither reached {phase} nor ended"
            begun = len(list((ROOT / ".lab" / NAME / "runs").glob("*Z"))) > before
            if begun and any(_is_in(event, phase) for event in self.timeline()):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.02)
        return False


def _is_in(event: dict[str, Any], phase: str) -> bool:
    return f"{event['phase']}:{event['host']}".startswith(phase)


def mounts(table: Path = Path("/proc/self/mountinfo")) -> list[str]:
    """What is mounted, without the numbers of mountinfo.

    Pins of network namespaces are left out: those of other labs of this machine come and go, in every table
    that has a copy of them. Whether ours is gone is looked at by its name.
    """
    fields = (line.split(" ") for line in table.read_text().splitlines())
    return sorted(" ".join(field[2:]) for field in fields if not field[4].startswith("/run/netns"))


def family(process: subprocess.Popen[bytes]) -> list[int]:
    """A task and every process that it has started, and those have started, by number."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in map(str.split, table.splitlines())}
    found = [process.pid]
    for member in found:
        found += [pid for pid, parent in parents.items() if parent == member]
    return found


def stop_all(process: subprocess.Popen[bytes]) -> list[int]:
    """Stop a task and all that it started where they are: what is stopped starts no more and ends nothing."""
    stopped: list[int] = []
    while new := [pid for pid in family(process) if pid not in stopped]:
        _signal(new, signal.SIGSTOP)
        stopped += new
    return stopped


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of a task and of all that it started, as the end of a machine would; then they have ended."""
    killed = stop_all(process)
    _signal(killed, signal.SIGKILL)
    process.wait()
    await_end(killed)


def await_end(pids: Iterable[int]) -> None:
    """A killed process runs on for a moment, and may still hold what it held."""
    for pid in pids:
        wait_for(f"the end of process {pid}", partial(ended, pid), seconds=SOON, interval=0.02)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.fixture(scope="session")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    """The lab's inventory under a name of its own; nothing of the lab is left afterwards."""
    inventory = tmp_path_factory.mktemp("inventory") / f"{NAME}.yaml"
    text = (ROOT / "inventory" / "rehearsal.yaml").read_text()
    assert "\nlab: rehearsal\n" in text
    inventory.write_text(text.replace("\nlab: rehearsal\n", f"\nlab: {NAME}\n"))
    # what is still to be fetched is fetched here, as this machine does it
    fetched = [sys.executable, "-m", "invoke", "render", "-i", str(inventory)]
    subprocess.run(fetched, cwd=ROOT, check=True, capture_output=True, timeout=BUILD_SECONDS)
    Proving(inventory, []).invoke("destroy")  # what a run that was killed left
    made = Proving(inventory, mounts())
    yield made
    made.invoke("destroy")
