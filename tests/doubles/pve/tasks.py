"""Tasks: what takes time on a node. Each has a UPID, a log, and ends with an exit status.

A task's effect happens when it ends, and it ends when somebody looks at the cluster after its time: no
thread is needed, and with a clock that stands still a test sees every moment of it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from tests.doubles.pve.answers import TaskError, wrong
from tests.doubles.pve.clock import Clock
from tests.doubles.pve.faults import Faults
from tests.doubles.pve.journal import Journal


@dataclass
class Task:
    """One task. `due` is when its effect happens; `holds` are VMs nobody else may change meanwhile."""

    node: str
    kind: str
    id: str
    user: str
    upid: str
    started: float
    due: float
    effect: Callable[[Task], None]
    undo: Callable[[], None] | None = None
    holds: frozenset[int] = frozenset()
    work: Future[None] | None = None
    hidden_polls: int = 0
    log: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ended: float | None = None
    exit_status: str | None = None
    withheld_status: bool = False

    @property
    def running(self) -> bool:
        return self.ended is None

    def warn(self, text: str) -> None:
        """The task ends with `WARNINGS: n` instead of `OK`."""
        self.warnings.append(text)
        self.log.append(f"WARN: {text}")

    def status(self) -> dict[str, object]:
        """What GET .../status answers."""
        number = self.upid.split(":")
        shown: dict[str, object] = {
            "upid": self.upid,
            "node": self.node,
            "type": self.kind,
            "id": self.id,
            "user": self.user.partition("!")[0],
            "pid": int(number[2], 16),
            "pstart": int(number[3], 16),
            "starttime": int(number[4], 16),
            "status": "running" if self.running else "stopped",
        }
        if "!" in self.user:
            shown["tokenid"] = self.user.partition("!")[2]
        if not self.running and not self.withheld_status:
            shown["exitstatus"] = self.exit_status
        return shown


class Tasks:
    """All tasks of a cluster. `seconds` is how long one takes, by kind; `default_seconds` for the others."""

    def __init__(self, clock: Clock, faults: Faults, journal: Journal, default_seconds: float = 0.0) -> None:
        self.clock, self.faults, self.journal = clock, faults, journal
        self.default_seconds = default_seconds
        self.seconds: dict[str, float] = {}
        self.all: dict[str, Task] = {}
        self._pid = 0x1000

    def start(
        self,
        node: str,
        kind: str,
        id: str,
        user: str,
        effect: Callable[[Task], None],
        *,
        undo: Callable[[], None] | None = None,
        holds: frozenset[int] = frozenset(),
        seconds: float | None = None,
        begin: Callable[[], Future[None] | None] | None = None,
    ) -> str:
        """Begin a task; gives back its UPID. `undo` runs when it ends in an error.

        `begin` runs at once and may give back work the task waits for; a `TaskError` of it ends the task. A
        VM that another task holds makes this one end in an error, as PVE's worker does after its patience.
        """
        now = self.clock.now()
        self._pid += 1
        numbers = ":".join(f"{number:08X}" for number in (self._pid, int(now * 100) & 0xFFFFFFFF, int(now)))
        upid = f"UPID:{node}:{numbers}:{kind}:{id}:{user}:"
        busy = self.holder(holds)
        script = self.faults.task(kind, id)
        length = self.seconds.get(kind, self.default_seconds) if seconds is None else seconds
        if script.seconds is not None:
            length = script.seconds
        task = Task(node, kind, id, user, upid, now, now + length, effect, undo, holds)
        task.hidden_polls, task.withheld_status = script.hidden_polls, script.no_status
        if busy:
            task.holds, task.undo, task.due = frozenset(), None, now
            vmid = min(holds & busy.holds)
            task.effect = failing(f"can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout")
        elif script.error:
            task.effect = failing(script.error)
        elif begin is not None:
            try:
                task.work = begin()
            except TaskError as error:
                task.effect, task.due = failing(str(error)), now
        if script.warning:
            task.warn(script.warning)
        self.all[upid] = task
        self.journal.changed(now, f"task {kind} started", id)
        return upid

    def holder(self, vmids: frozenset[int]) -> Task | None:
        """A running task that holds one of these VMs."""
        return next((task for task in self.all.values() if task.running and task.holds & vmids), None)

    def settle(self) -> None:
        """Let every task end whose time has come, in the order of their times."""
        now = self.clock.now()
        due = [task for task in self.all.values() if task.running and task.due <= now]
        for task in sorted(due, key=lambda task: task.due):
            if task.work is None or task.work.done():
                self._end(task, max(task.due, task.started) if task.work is None else now)

    def _end(self, task: Task, at: float) -> None:
        try:
            if task.work is not None:
                task.work.result()
            task.effect(task)
            task.exit_status = f"WARNINGS: {len(task.warnings)}" if task.warnings else "OK"
            task.log.append(f"TASK {task.exit_status}")
        except Exception as error:  # whatever the work raised is the task's own failure
            if task.undo is not None:
                task.undo()
            task.exit_status = str(error)
            task.log.append(f"TASK ERROR: {error}")
        task.ended = at
        self.journal.changed(
            at, f"task {task.kind} {'failed' if 'ERROR' in task.log[-1] else 'ended'}", task.id
        )

    def abort(self, task: Task) -> None:
        """Somebody stops the task; what it would have done does not happen."""
        if task.running:
            task.effect, task.due = failing("unexpected status"), self.clock.now()
            self.settle()

    def get(self, upid: str) -> Task:
        """A task by its UPID. Raises `ApiError` 400 for none, and for one that does not show itself yet."""
        task = self.all.get(upid)
        if task is None:
            raise wrong("upid", "no such task")
        if task.hidden_polls:
            task.hidden_polls -= 1
            raise wrong("upid", "no such task")
        return task


def failing(text: str) -> Callable[[Task], None]:
    """The effect of a task that ends in an error."""

    def effect(_task: Task) -> None:
        raise TaskError(text)

    return effect
