"""Machines that exist already: reached by SSH, taken by a mark, let go again; never made, never deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from ipaddress import IPv4Network
from typing import TypeVar

from lab.errors import DeadlineError, FailedError, PreflightError
from lab.inventory.models import Host
from lab.machines import Blocker, Leftovers, Machine, Power, State, Traits
from lab.providers.static.facts import MARK, Existing, judge, look
from lab.providers.static.power import Ask, on_terminal, switch, switches_on
from lab.ssh import Ssh
from lab.waits import NotYet, wait_for

T = TypeVar("T")
_SECONDS = 10.0
BOOT_SECONDS = 240.0
"""As long as any other machine of a build gets for its boot (`lab.steps.machines`)."""
_CONSOLE = "journalctl --boot --no-pager --lines 500 --output short-monotonic"


class StaticProvider:
    """The machines of one lab that exist already. The contract is `lab.machines.Provider`.

    `connect` gives SSH to them and `public_key` is the key we come with; `enter` puts a thread into their
    network (nothing to do unless they stand in an embedded lab's); `release` takes from a machine what the
    lab put there; `evidence` are paths that only a machine in use has.
    """

    def __init__(
        self,
        lab: str,
        hosts: Mapping[str, Host],
        lan: IPv4Network,
        *,
        connect: Callable[[], Ssh],
        public_key: Callable[[], str],
        release: Callable[[Ssh, str], None],
        evidence: tuple[str, ...],
        enter: Callable[[], None] = lambda: None,
        ask: Ask = on_terminal,
    ) -> None:
        self._lab, self._hosts, self._lan = lab, hosts, lan
        self._connect, self._public_key, self._release = connect, public_key, release
        self._evidence, self._enter, self._ask = evidence, enter, ask
        self._left: tuple[str, ...] = ()

    @cached_property
    def _ssh(self) -> Ssh:
        return self._connect()

    @cached_property
    def _found(self) -> dict[str, Existing]:
        """Facts of all machines, gathered once. Raises `FailedError` while there is no way to them."""
        key = self._public_key()
        return self._each(self._hosts, lambda name: look(self._ssh, name, self._evidence, key))

    def traits_of(self, name: str) -> Traits:
        try:
            return self._found[name].traits
        except FailedError:
            return Traits()

    def preflight(self, machines: Iterable[Machine]) -> list[Blocker]:
        """Every machine is judged, running or not.

        Those that no network leads to yet, and those that `prepare` can switch on, are judged there.
        """
        del machines
        try:
            waiting = self._to_switch_on()
        except FailedError:
            return []
        return [problem for name in self._hosts if name not in waiting for problem in self._judged(name)]

    def _judged(self, name: str) -> list[Blocker]:
        return judge(name, self._hosts[name], self._lab, self._found[name])

    def _to_switch_on(self) -> list[str]:
        """Machines that do not answer and can be switched on. Raises `FailedError` as `_found` does."""
        return [name for name, host in self._hosts.items() if self._found[name].silent and switches_on(host)]

    def enter(self) -> None:
        self._enter()

    def prepare(self) -> bool:
        """Take the machines: each gets our mark, if nothing speaks against one of them.

        What can be switched on is switched on first, after a person's yes. Raises `PreflightError`, and
        `DeadlineError` for a machine that stays silent.
        """
        self._switch_on(self._to_switch_on())
        problems = [problem for name in self._hosts for problem in self._judged(name)]
        if problems:
            raise PreflightError(
                "machines that exist cannot take the lab:\n  " + "\n  ".join(map(str, problems)),
                next_step="mend the above, then run the same command again",
            )
        new = [name for name, found in self._found.items() if not found.mark]
        mark = f"mkdir -p $(dirname {MARK}) && echo {self._lab} > {MARK}"
        self._each(new, lambda name: self._ssh.run(name, mark, seconds=_SECONDS))
        return bool(new)

    def _switch_on(self, names: list[str]) -> None:
        def answers(name: str) -> None:
            found = look(self._ssh, name, self._evidence, self._public_key())
            if found.silent:
                raise NotYet(found.reason)

        def on(name: str) -> None:
            switch(name, self._hosts[name], self._lan, Power.ON, self._ask)
            wait_for(f"SSH of {name}", lambda: answers(name), seconds=BOOT_SECONDS, interval=1)

        self._each(names, on)
        if names:
            del self._found  # looked at anew

    def create(self, machine: Machine) -> bool:  # noqa: ARG002
        """Nothing: it exists, and `prepare` has switched it on if need be."""
        return False

    def changes(self, machine: Machine) -> tuple[str, ...]:  # noqa: ARG002
        """None: the machine's sizes are its owner's."""
        return ()

    def remarks(self, machine: Machine) -> list[Blocker]:  # noqa: ARG002
        """None: such a machine is where it was made."""
        return []

    def destroy(self, name: str) -> bool:
        """Take our things from the machine, and our mark last; the machine itself stays as it is."""
        state = self.state(name)
        if state is State.OFF:
            raise FailedError(
                f"{name}: does not answer, so nothing can be taken from it",
                next_step=f"switch it on, then invoke destroy --host {name}",
            )
        if state in (State.FOREIGN, State.ABSENT) or not self._marked(name):
            return False
        self._each([name], lambda one: self._release(self._ssh, one))
        self._each([name], lambda one: self._ssh.run(one, f"rm -f {MARK}", seconds=_SECONDS))
        return True

    def clean(self) -> bool:
        """Let every machine go; one that does not answer is told by `leftovers`."""
        left, changed = [], False
        with ThreadPoolExecutor(len(self._hosts)) as pool:
            for name, letting in {name: pool.submit(self.destroy, name) for name in self._hosts}.items():
                try:
                    changed |= letting.result()
                except (FailedError, DeadlineError):
                    left.append(name)
        self._left = tuple(left) if self._network() else ()
        return changed

    def leftovers(self) -> Leftovers:
        return Leftovers({"machine that could not be released": self._left} if self._left else {})

    def machines(self) -> dict[str, State]:
        return {name: self.state(name) for name in sorted(self._hosts) if self._marked(name)}

    def state(self, name: str) -> State:
        if name not in self._hosts:
            return State.ABSENT  # a machine that left the file is its owner's again
        try:
            mark = self._mark(name)
        except (FailedError, DeadlineError):
            return State.OFF
        return State.RUNNING if mark in ("", self._lab) else State.FOREIGN

    def power(self, name: str, action: Power) -> None:
        self._each([name], lambda one: switch(one, self._hosts[one], self._lan, action, self._ask))

    def console(self, name: str) -> str:
        try:
            return self._each([name], lambda one: self._ssh.run(one, _CONSOLE, seconds=_SECONDS))[name]
        except (FailedError, DeadlineError) as error:
            return f"{error}\n"

    def _mark(self, name: str) -> str:
        command = f"cat {MARK} 2>/dev/null || true"
        return self._each([name], lambda one: self._ssh.run(one, command, seconds=_SECONDS))[name].strip()

    def _marked(self, name: str) -> bool:
        try:
            return self._mark(name) == self._lab
        except (FailedError, DeadlineError):
            return False

    def _network(self) -> bool:
        """Whether there is a way to the machines at all."""
        try:
            self._each([""], lambda _: None)
        except FailedError:
            return False
        return True

    def _each(self, names: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        """`work` for each name at once, in threads of the machines' network; ours stays where it is."""

        def inside(name: str) -> T:
            self._enter()
            return work(name)

        listed = list(names)
        if not listed:
            return {}
        with ThreadPoolExecutor(len(listed)) as pool:
            return dict(zip(listed, pool.map(inside, listed), strict=True))
