"""Fakes of what a build talks to: a provider, SSH, a clock. They remember what they were asked.

They keep the contracts of the real ones (idempotence, errors, exit codes) and nothing else; what they were
not told to answer is an error of the test.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import FailedError, PreflightError
from lab.local import Pour
from lab.machines import Blocker, Leftovers, Machine, Power, State, Traits
from lab.ssh import Result, Ssh

CONTAINERS = Traits(shares_kernel=True, oom_score_restricted=True, layered=True)
FULL_MACHINES = Traits()


class FakeClock:
    """Takes the place of the `time` module: sleeping takes no time, and is counted."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps += 1
        if self.naps > 10_000:
            raise AssertionError("a wait without an end")
        time.sleep(0)  # let other threads of the test run


@dataclass
class FakeProvider:
    """Machines that are a state and what they were made of."""

    traits: Traits = CONTAINERS
    states: dict[str, State] = field(default_factory=dict)
    made: dict[str, Machine] = field(default_factory=dict)
    problems: list[Blocker] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    on_boot: Callable[[Machine], None] = lambda _: None
    prepared: bool = False
    differ: dict[str, tuple[str, ...]] = field(default_factory=dict)
    remarked: dict[str, list[Blocker]] = field(default_factory=dict)

    def traits_of(self, name: str) -> Traits:  # noqa: ARG002
        return self.traits

    def preflight(self, machines: Iterable[Machine]) -> list[Blocker]:
        self.log += [("preflight", machine.name) for machine in machines]
        return list(self.problems)

    def enter(self) -> None:
        if not self.prepared:
            raise FailedError("the lab has no network yet")

    def prepare(self) -> bool:
        changed, self.prepared = not self.prepared, True
        return changed

    def create(self, machine: Machine) -> bool:
        state = self.state(machine.name)
        if state is State.FOREIGN:
            raise PreflightError(f"{machine.name}: is not ours")
        if state is State.RUNNING:
            if self.differ.pop(machine.name, ()):
                self.log.append(("change", machine.name))
                return True
            return False
        self.log.append(("create" if state is State.ABSENT else "on", machine.name))
        self.states[machine.name] = State.RUNNING
        if state is State.ABSENT:
            self.made[machine.name] = machine
            self.on_boot(machine)
        return True

    def changes(self, machine: Machine) -> tuple[str, ...]:
        return self.differ.get(machine.name, ())

    def remarks(self, machine: Machine) -> list[Blocker]:
        return self.remarked.get(machine.name, [])

    def destroy(self, name: str) -> bool:
        self.log.append(("destroy", name))
        return self.states.pop(name, State.ABSENT) is not State.ABSENT

    def clean(self) -> bool:
        changed = [self.destroy(name) for name in list(self.states)]
        self.prepared = False
        return any(changed)

    def leftovers(self) -> Leftovers:
        return Leftovers({"machine": tuple(self.states)} if self.states else {})

    def machines(self) -> dict[str, State]:
        return {name: state for name, state in sorted(self.states.items()) if state is not State.FOREIGN}

    def state(self, name: str) -> State:
        return self.states.get(name, State.ABSENT)

    def power(self, name: str, action: Power) -> None:
        self.log.append((action.value, name))
        self.states[name] = State.OFF if action is Power.OFF else State.RUNNING

    def console(self, name: str) -> str:
        return f"console of {name}\n"


@dataclass(frozen=True)
class Call:
    """One command that was run on a host."""

    host: str
    command: str
    stdin: str
    poured: bytes = b""
    """What was written for it while it was sent."""


Answer = str | Result | Exception | Callable[[Call], "str | Result | Exception"]


def sent(stdin: str | Path | Pour) -> bytes:
    """What is written for a command while it is sent."""
    stream = io.BytesIO()
    if callable(stdin):
        stdin(stream)
    return stream.getvalue()


class FakeSsh(Ssh):
    """Answers by host ("" for every host) and by a piece of the command; the newest rule that fits wins."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere/ssh_config"))
        self.calls: list[Call] = []
        self._rules: list[tuple[str, str, Answer]] = []

    def on(self, host: str, piece: str, answer: Answer) -> None:
        """From now on `answer` is what a command with `piece` in it says on `host`."""
        self._rules.insert(0, (host, piece, answer))

    def try_run(
        self,
        host: str,
        command: str,
        *,
        seconds: float = 60,  # noqa: ARG002
        stdin: str | Path | Pour = "",
    ) -> Result:
        call = Call(host, command, "" if callable(stdin) else str(stdin), sent(stdin))
        self.calls.append(call)
        for wanted, piece, answer in list(self._rules):
            if wanted in ("", host) and piece in command:
                given = answer(call) if callable(answer) else answer
                if isinstance(given, Exception):
                    raise given
                return given if isinstance(given, Result) else Result(0, given, "")
        raise AssertionError(f"{host}: nobody told the fake what to answer to: {command[:200]}")

    def commands(self, piece: str = "") -> list[tuple[str, str]]:
        """Host and command of each call that has `piece` in its command."""
        return [(call.host, call.command) for call in self.calls if piece in call.command]
