"""Runs steps as soon as what they need is done; independent steps at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from rich.markup import escape

from lab.console import Console
from lab.errors import PlumblineError
from lab.runs import Run

WORKERS = 24
"""Threads: steps mostly wait for hosts, and a lab of 16 machines has about that many ready at once."""


@dataclass(frozen=True)
class Step:
    """One piece of work on one host ("" for the lab itself).

    `needs` names steps by `key`; `run` gives back whether it changed something, and a short remark.
    """

    phase: str
    host: str
    title: str
    needs: frozenset[str]
    run: Callable[[], tuple[bool, str]]

    @property
    def key(self) -> str:
        """phase or phase:host."""
        return f"{self.phase}:{self.host}" if self.host else self.phase


class Stopped(Exception):
    """Raised inside a step's wait when the build is being stopped."""


def execute(steps: Iterable[Step], console: Console, run: Run, stop: threading.Event) -> bool:
    """Run all steps; True when one of them changed something.

    The first failure lets running steps end, starts no further ones, and is raised.
    """
    waiting = {step.key: step for step in steps}
    done: set[str] = set()
    changed = False
    running: dict[Future[tuple[bool, str]], Step] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="step") as pool:
        try:
            while waiting or running:
                if failure is None:
                    for step in [item for item in waiting.values() if item.needs <= done]:
                        del waiting[step.key]
                        running[pool.submit(_run, step, console, run)] = step
                if not running:
                    break
                finished, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for future in finished:
                    step = running.pop(future)
                    error = future.exception()
                    if error is None:
                        changed |= future.result()[0]
                        done.add(step.key)
                    elif failure is None or isinstance(failure, Stopped):
                        failure = error
                        stop.set()
        except KeyboardInterrupt:
            # let every wait notice, then leave: what runs on a host goes on there and is found again
            stop.set()
            raise
    if failure is not None:
        raise failure
    if waiting:
        missing = {need for step in waiting.values() for need in step.needs} - done - set(waiting)
        raise AssertionError(f"steps wait for steps that do not exist: {sorted(missing)}")
    return changed


def _run(step: Step, console: Console, run: Run) -> tuple[bool, str]:
    begun = time.monotonic()
    with (
        console.working(step.key, f"{step.host or 'lab'}: {step.title}"),
        run.event(step.phase, step.host) as event,
    ):
        try:
            changed, remark = step.run()
        except Stopped:
            raise
        except PlumblineError as error:
            console.say(f"[red]{step.title}: failed[/red]", step.host)
            event["error"] = error.message
            raise
        event["changed"] = changed
    said = f" [dim]({escape(remark)})[/dim]" if remark else ""
    console.say(f"{step.title}: {time.monotonic() - begun:.1f} s{said}", step.host)
    return changed, remark
