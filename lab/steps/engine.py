"""Runs the steps of an operation as soon as what they need is done; independent steps at the same time.

An operation gives its steps in stages. A stage begins when the one before it has ended, so that facts may be
gathered between them; most operations have one or two.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from rich.markup import escape

from lab.console import Console
from lab.errors import FailedError, PlumblineError
from lab.runs import Run

WORKERS = 24
"""Threads: steps mostly wait for hosts, and a lab of 16 machines has about that many ready at once."""
MOST_UNDONE = 6
"""Lines of an error about steps that were not done; each has been told when it was given up."""

log = logging.getLogger("plumbline")


@dataclass(frozen=True)
class Step:
    """One piece of work on one host ("" for the lab itself).

    `run` gives back whether it changed something, and a short remark. `needs` names, by `key`, the steps that
    must have ended well, `after` those that must have ended at all.

    `will` are the sentences of what the step changes, known from facts before it runs: they are the plan of
    an operation. A step without them only waits or looks. `diffs` are what stands behind the sentences, as
    unified diffs. `unknown` is why a step cannot say what it will change. `asks` are sentences of
    what a person must see to, with the way: a plan has them, an operation says them again, no step does it.

    `enters` marks a step that runs in the calling thread, because what it enters (a lab's network) holds for
    that thread and for those that are started later.
    """

    phase: str
    host: str
    title: str
    needs: frozenset[str]
    run: Callable[[], tuple[bool, str]]
    after: frozenset[str] = frozenset()
    will: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    unknown: PlumblineError | None = None
    enters: bool = False
    asks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """phase or phase:host."""
        return f"{self.phase}:{self.host}" if self.host else self.phase

    @property
    def subject(self) -> str:
        """What the sentences are about: the host, or the part of the lab behind the phase's dash."""
        return self.host or self.phase.partition("-")[2]

    def __str__(self) -> str:
        return f"{self.host}: {self.title}" if self.host else self.title


Stages = Iterator[Sequence[Step]]


class Stopped(Exception):
    """Raised inside a step's wait when the operation is being stopped."""


class StepsFailedError(PlumblineError):
    """Steps that failed, each with its own error, and those that could not run because of them.

    The exit code is that of the failures where they agree, and 1 where they do not.
    """

    def __init__(
        self, failures: Sequence[tuple[Step | None, PlumblineError]], undone: Mapping[Step, str]
    ) -> None:
        errors = [error for _, error in failures]
        message = errors[0].message
        if len(errors) > 1:
            told = [f"\n  {step or 'what comes next'}: {_brief(step, error)}" for step, error in failures]
            message = f"{len(errors)} steps failed:{''.join(told)}"
        lines = [f"\n  not done: {step}: {reason}" for step, reason in undone.items()]
        if len(lines) > MOST_UNDONE:
            more = len(lines) - MOST_UNDONE + 1
            lines[MOST_UNDONE - 1 :] = [f"\n  not done: {more} more steps, named above"]
        message += "".join(lines)
        super().__init__(message, next_step=next((e.next_step for e in errors if e.next_step), ""))
        codes = {error.exit_code for error in errors}
        self.exit_code = codes.pop() if len(codes) == 1 else FailedError.exit_code


def _brief(step: Step | None, error: PlumblineError) -> str:
    """What an error says beside its step, which names the host already."""
    host = f"{step.host}: " if step and step.host else ""
    return error.message.removeprefix(host).replace("\n", "\n    ")


def listed(stages: Stages) -> list[Step]:
    """All steps of an operation, none of which is run: its plan."""
    found: list[Step] = []
    for stage in stages:
        found += _checked(stage, {step.key for step in found})
    return found


def something_to_do(steps: Iterable[Step]) -> bool:
    """Whether a plan changes something, asks a person for it, or cannot say that nothing is to be done."""
    return any(step.will or step.asks or step.unknown for step in steps)


def not_looked_at(steps: Iterable[Step]) -> PlumblineError | None:
    """Why a plan cannot say what some of its steps will change, each reason once; None when it can.

    The exit code is that of the reasons where they agree, and 1 where they do not.
    """
    errors = {step.unknown.message: step.unknown for step in steps if step.unknown}
    if len(errors) < 2:
        return next(iter(errors.values()), None)
    told = "".join(f"\n  {_brief(None, error)}" for error in errors.values())
    next_step = next((error.next_step for error in errors.values() if error.next_step), "")
    found = FailedError(f"{len(errors)} things could not be looked at:{told}", next_step=next_step)
    codes = {error.exit_code for error in errors.values()}
    found.exit_code = codes.pop() if len(codes) == 1 else FailedError.exit_code
    return found


def _checked(stage: Sequence[Step], known: Collection[str]) -> Sequence[Step]:
    """The stage as it is. Raises `LookupError` for a list that can never be worked off: a defect of ours."""
    keys = [step.key for step in stage]
    twice = {key for key in keys if key in known or keys.count(key) > 1}
    missing = {need for step in stage for need in step.needs | step.after} - {*known, *keys}
    if twice or missing:
        raise LookupError(f"steps that stand twice: {sorted(twice)}; that do not exist: {sorted(missing)}")
    return stage


@dataclass
class Engine:
    """Works the steps of one operation off.

    `stop` ends the waits of running steps. `lost` are the keys of steps that failed or could not run; a step
    may look there what became of those that it runs `after`.
    """

    console: Console
    run: Run
    stop: threading.Event = field(default_factory=threading.Event)
    lost: set[str] = field(default_factory=set)
    failures: list[tuple[Step | None, PlumblineError]] = field(default_factory=list)
    """What failed so far; None stands for the decisions between two stages."""
    _done: set[str] = field(default_factory=set)
    _undone: dict[Step, str] = field(default_factory=dict)
    _changed: bool = False
    asked: bool = False
    """Whether something was told that a person must see to."""

    @property
    def changed(self) -> bool:
        """Whether a step has changed something so far."""
        return self._changed

    def execute(self, stages: Stages) -> bool:
        """Run all steps; True when one of them changed something.

        A failure ends nothing but what needs the failed step: the rest goes on. Raises `StepsFailedError` in
        the end. Ctrl-C, and a defect of ours, let running steps end, start no others, and are raised.
        """
        try:
            for stage in stages:
                self._work_off(_checked(stage, self._done | self.lost))
        except PlumblineError as error:
            if not self.failures:
                raise
            self.failures.append((None, error))
        if self.failures:
            raise StepsFailedError(self.failures, self._undone)
        return self._changed

    def _work_off(self, stage: Sequence[Step]) -> None:
        waiting = {step.key: step for step in stage}
        running: dict[Future[tuple[bool, str]], Step] = {}
        defect: BaseException | None = None
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="step") as pool:
            try:
                while waiting or running:
                    for step in self._startable(waiting) if defect is None else ():
                        running[self._started(pool, step)] = step
                    if not running:
                        break
                    finished, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    for future in finished:
                        error = self._ended(running.pop(future), future)
                        if error and (defect is None or isinstance(defect, Stopped)):
                            defect = error
            except KeyboardInterrupt:
                # let every wait notice, then leave: what runs on a host goes on there and is found again
                self.stop.set()
                raise
        if defect is not None and not (isinstance(defect, Stopped) and self.failures):
            raise defect
        if waiting and not self.stop.is_set():
            raise LookupError(f"steps that wait for each other: {sorted(waiting)}")

    def _startable(self, waiting: dict[str, Step]) -> list[Step]:
        """Take out the steps that can run now, and those that never can, which are noted with the reason."""
        while hopeless := [step for step in waiting.values() if step.needs & self.lost]:
            for step in hopeless:
                del waiting[step.key]
                self._give_up(step)
        ended = self._done | self.lost
        ready = [step for step in waiting.values() if step.needs <= self._done and step.after <= ended]
        for step in ready:
            del waiting[step.key]
        return ready

    def _give_up(self, step: Step) -> None:
        failed = [str(item) for item, _ in self.failures if item and item.key in step.needs]
        undone = [str(item) for item in self._undone if item.key in step.needs]
        reason = f"{failed[0]}: failed" if failed else f"{undone[0]}: not done"
        self.lost.add(step.key)
        self._undone[step] = reason
        self.console.say(f"[yellow]{escape(f'{step.title}: not done: {reason}')}[/yellow]", step.host)

    def _started(self, pool: ThreadPoolExecutor, step: Step) -> Future[tuple[bool, str]]:
        if not step.enters:
            return pool.submit(self._one, step)
        ended: Future[tuple[bool, str]] = Future()
        try:
            ended.set_result(self._one(step))
        except Exception as error:
            ended.set_exception(error)
        return ended

    def _ended(self, step: Step, future: Future[tuple[bool, str]]) -> BaseException | None:
        """Note how a step ended; gives back what is no failure of the lab but a defect of ours, or a stop."""
        error = future.exception()
        if error is None:
            self._changed |= future.result()[0]
            self._done.add(step.key)
            return None
        self.lost.add(step.key)
        if isinstance(error, PlumblineError):
            self.failures.append((step, error))
            return None
        self.stop.set()
        return error

    def _one(self, step: Step) -> tuple[bool, str]:
        begun = time.monotonic()
        with (
            self.console.working(step.key, f"{step.host or 'lab'}: {step.title}"),
            self.run.event(step.phase, step.host) as event,
        ):
            try:
                changed, remark = step.run()
            except PlumblineError as error:
                why = escape(_brief(step, error).partition("\n")[0])
                self.console.say(f"[red]{escape(step.title)}: failed[/red]: {why}", step.host)
                event["error"] = error.message
                raise
            event["changed"] = changed
        if changed and not (step.will or step.unknown):
            log.warning("%s: changed something that its plan did not say", step)
        for ask in step.asks:
            self.asked = True
            self.console.say(f"[yellow]{escape(ask)}[/yellow]", step.subject)
        said = f" [dim]({escape(remark)})[/dim]" if remark else ""
        self.console.say(f"{escape(step.title)}: {time.monotonic() - begun:.1f} s{said}", step.host)
        return changed, remark
