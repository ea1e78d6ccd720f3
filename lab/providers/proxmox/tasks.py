"""Tasks of Proxmox VE: everything slow is one, and only its exit status says whether it succeeded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.errors import DeadlineError, FailedError
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.retry import BusyError, ProxmoxApiError, outdated, read

NEWBORN_SECONDS = 10.0
"""How long a task may be unknown after its creation (`no such task`; bpg's provider, tasks.go)."""
SETTLE_SECONDS = 1800.0
"""For somebody's copy of a large disk, or the import of an image."""
SOONEST_SECONDS, SELDOM_SECONDS = 0.2, 3.0
"""Between two questions about one task: the longer it runs, the more seldom."""
POLLS_PER_SECOND = 25
"""Of all tasks together."""
_LOG_LINES = 12


@dataclass(frozen=True)
class Upid:
    """A task's name: UPID:node:pid:pstart:starttime:type:id:user:"""

    text: str
    node: str
    kind: str
    about: str
    user: str

    @classmethod
    def parse(cls, text: str) -> Upid:
        """Raises `FailedError` for anything else than a UPID."""
        parts = str(text).split(":")
        if len(parts) != 9 or parts[0] != "UPID":
            raise FailedError(f"Proxmox VE answered with {text!r} where the name of a task was due")
        return cls(text, parts[1], parts[5], parts[6], parts[7])

    @property
    def path(self) -> str:
        """Of the API."""
        return f"nodes/{self.node}/tasks/{self.text}"

    def __str__(self) -> str:
        return f"task {self.kind} {self.about} on {self.node}"


class Pacer:
    """Lets callers through at a bounded rate, in the order in which their pauses end."""

    def __init__(self, per_second: float) -> None:
        self._gap, self._next, self._lock = 1 / per_second, 0.0, threading.Lock()

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, and longer when others are in front."""
        time.sleep(seconds)
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
        time.sleep(at - now)


class Tasks:
    """Follows tasks of one cluster to their end. `report` gets a line for each warning."""

    def __init__(self, api: ProxmoxApi, report: Callable[[str], None]) -> None:
        self._api = api
        self._report = report
        self._pacer = Pacer(POLLS_PER_SECOND)

    def follow(self, answer: Any, *, seconds: float) -> None:
        """Wait for the task whose UPID a call answered with, until its final exit status is known and good.

        Raises `FailedError` with its text and the end of its log when it failed, `BusyError` when it failed
        for a lock, `DeadlineError` naming the task when it still runs after `seconds`.
        """
        task = Upid.parse(answer)
        begun, waited = time.monotonic(), 0.0
        while True:
            # no task is done at once: the first question waits its turn like the others
            self._pacer.wait(min(max(SOONEST_SECONDS, waited / 10), SELDOM_SECONDS))
            waited = time.monotonic() - begun
            status = self._status(task, newborn=waited < NEWBORN_SECONDS)
            if status.get("status") == "stopped":
                self._judge(task, status.get("exitstatus"))
                return
            if waited > seconds:
                raise DeadlineError(
                    str(task),
                    seconds,
                    f"{status.get('status')}: {self._tail(task)[-1:] or 'no log'}",
                    next_step=f"look at it: pvenode task log {task.text}",
                )

    def settle(self, node: str, kind: str, ours: Callable[[Upid], bool]) -> bool:
        """Wait for our tasks of a kind that are at work on a node. True when there were any.

        They are of a killed build, or of a call whose answer was lost: what they make has a number, and
        neither name nor mark before their end. Their failures are reported; they have left nothing.
        """
        found = [task for task in self.running(node, kind) if ours(task)]
        for task in found:
            try:
                self.follow(task.text, seconds=SETTLE_SECONDS)
            except FailedError as error:
                self._report(error.message)
        return bool(found)

    def running(self, node: str, kind: str) -> list[Upid]:
        """Tasks of a kind that are at work on a node, as far as the token may see them."""
        listed = self._api.get(f"nodes/{node}/tasks", source="active", typefilter=kind)
        return [Upid.parse(item["upid"]) for item in listed if not item.get("endtime")]

    def _status(self, task: Upid, *, newborn: bool) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            try:
                found: dict[str, Any] = self._api.once(f"{task.path}/status")
                return found
            except ProxmoxApiError as error:
                if newborn and error.says("no such task"):
                    return {"status": "not listed yet"}
                raise

        return read(f"status of {task}", ask)

    def _judge(self, task: Upid, exit_status: str | None) -> None:
        if exit_status == "OK":
            return
        if exit_status is None:
            raise FailedError(f"{task}: ended without a status", next_step=f"pvenode task log {task.text}")
        lines = self._tail(task)
        if exit_status.startswith("WARNINGS:"):
            told = [line for line in lines if "WARN" in line] or lines[-1:]
            self._report(f"{task}: {exit_status}: {'; '.join(told)}")
            return
        if outdated(exit_status):
            raise BusyError(f"{task}: {exit_status}")
        tail = "".join(f"\n    {line}" for line in lines)
        raise FailedError(f"{task} failed: {exit_status}{tail}", next_step=f"pvenode task log {task.text}")

    def _tail(self, task: Upid) -> list[str]:
        """The last lines of its log; a log that cannot be read must not hide how the task ended."""
        try:
            lines = self._api.get(f"{task.path}/log", start=0, limit=5000)
        except FailedError as error:
            return [f"its log cannot be read: {error.message}"]
        return [str(line.get("t", "")).strip() for line in lines if line.get("t")][-_LOG_LINES:]
