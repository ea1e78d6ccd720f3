"""The embedded provider: LXC system containers in a network namespace of the lab's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from ipaddress import IPv4Interface
from pathlib import Path

from lab.errors import CommandError, FailedError, PreflightError
from lab.providers import lxc_machine, lxc_preflight
from lab.providers.base import Leftovers, Machine, Power, Problem, State, Traits
from lab.providers.lxc_cgroups import Cgroups
from lab.providers.lxc_config import port_name
from lab.providers.lxc_mark import (
    LAB_MARK,
    MachineMark,
    new_lab_mark,
    read_lab_mark,
    read_machine_mark,
    stranger,
    write_mark,
)
from lab.providers.lxc_monitors import end_monitors, monitors
from lab.providers.lxc_network import LabNetwork

_START_SECONDS = 60.0
_MONITOR_PATIENCE = 5.0  # seconds a monitor gets to tidy up; it took under 0.1 s for each of 6 at once


class LxcProvider:
    """Machines of one lab as LXC containers. The contract is `lab.providers.base.Provider`.

    `home` is the folder of this lab's machine data, `bridge` the gateway's address on the lab's switch,
    `layers` the read-only folders under every new machine's root, top first (needed by `create` alone).
    """

    def __init__(self, lab: str, home: Path, bridge: IPv4Interface, layers: tuple[Path, ...]) -> None:
        self._lab = lab
        self._home = home.absolute()
        self._machines = self._home / "machines"
        self._layers = layers
        self._network = LabNetwork(lab, self._home, bridge)

    @cached_property
    def _cgroups(self) -> Cgroups:
        return Cgroups(self._lab)

    @property
    def traits(self) -> Traits:
        return Traits(shares_kernel=True, oom_score_restricted=lxc_preflight.oom_score_restricted())

    def preflight(self, machines: Iterable[Machine]) -> list[Problem]:
        wanted = list(machines)
        facts = lxc_preflight.gather(self._home)
        problems = lxc_preflight.judge(facts, len(wanted))
        problems += self._strangers(machine.name for machine in wanted)
        return problems

    def enter(self) -> None:
        self._network.enter()

    def prepare(self) -> bool:
        self._guard()
        mark = read_lab_mark(self._home)
        changed = mark is None or mark.checkout != new_lab_mark(self._lab).checkout
        if changed:
            self._home.mkdir(parents=True, exist_ok=True)
            self._home.chmod(0o700)  # seeds hold keys
            write_mark(self._home, new_lab_mark(self._lab))
        self._machines.mkdir(exist_ok=True)
        return self._network.make() or changed

    def create(self, machine: Machine) -> bool:
        made = self.state(machine.name) is State.ABSENT
        if made:
            self._guard()
            self._halt(machine.name)  # it may still run although its folder was removed
            lxc_machine.build(self._machines, self._lab, machine, self._layers)
        return self._on(machine.name) or made

    def destroy(self, name: str) -> bool:
        self._guard()
        if self.state(name) is State.FOREIGN:
            raise self._foreign(name)
        return self._destroy(name)

    def clean(self) -> bool:
        self._guard()
        names = {*self.machines(), *lxc_machine.half_made(self._machines), *self._cgroups.names()}
        names |= set(monitors(self._machines).values())
        with ThreadPoolExecutor(max_workers=16) as pool:
            destroyed = any(list(pool.map(self._destroy, sorted(names))))
        self._cgroups.remove_lab()
        networked = self._network.remove()
        had_home = self._home.exists()
        # Only what is empty now, the mark last: a folder that somebody put there stays, and shows in the leftovers.
        with contextlib.suppress(OSError):
            if self._machines.exists():
                self._machines.rmdir()
            (self._home / LAB_MARK).unlink(missing_ok=True)
            self._home.rmdir()
            if self._home.parent.name == "plumbline":  # /var/lib/plumbline, made with the first lab
                self._home.parent.rmdir()
        return destroyed or networked or had_home

    def leftovers(self) -> Leftovers:
        mounts = [line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()]
        ours = [mount for mount in mounts if Path(mount).is_relative_to(self._home)]
        return Leftovers(
            {
                "machine": tuple(self.machines()),
                "process": tuple(f"{pid} ({name})" for pid, name in monitors(self._machines).items()),
                "mount": tuple(ours),
                "namespace": (self._network.name,) if self._network.exists() else (),
                "cgroup": self._cgroups.folders(),
                "folder": (str(self._home),) if self._home.exists() else (),
            }
        )

    def machines(self) -> dict[str, State]:
        if not self._machines.is_dir():
            return {}
        names = sorted(entry.name for entry in self._machines.iterdir() if self._mark(entry.name))
        return {name: self.state(name) for name in names}

    def state(self, name: str) -> State:
        if not self._folder(name).exists():
            return State.ABSENT
        return self._cgroups.state(name) if self._mark(name) else State.FOREIGN

    def power(self, name: str, action: Power) -> None:
        state = self.state(name)
        if state is State.FOREIGN:
            raise self._foreign(name)
        if state is State.ABSENT:
            raise FailedError(f"{name}: power {action}: there is no such machine", next_step="invoke build")
        if action in (Power.OFF, Power.RESET):
            self._halt(name)
        if action in (Power.ON, Power.RESET):
            self._on(name)
        if action in (Power.PAUSE, Power.RESUME):
            self._hold(name, state, frozen=action is Power.PAUSE)

    def console(self, name: str) -> str:
        file = self._folder(name) / "console.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _on(self, name: str) -> bool:
        """Make sure the machine runs and its cable is in; True when something was done."""
        state = self.state(name)
        if state is State.FOREIGN:
            raise self._foreign(name)
        mark = self._mark(name)
        assert mark is not None
        if state is State.OFF:
            self._halt(name)
            self._start(name, mark)
            return True
        connected = self._network.connect(port_name(mark.mac), True)
        if state is State.PAUSED:
            self._cgroups.freeze(name, False)
        return connected or state is State.PAUSED

    def _start(self, name: str, mark: MachineMark) -> None:
        """Start a machine that is off and has no trace of its last run."""
        gone = [layer for layer in mark.layers if not Path(layer).is_dir()]
        if gone:
            raise FailedError(
                f"{name}: its root filesystem needs the folder {gone[0]}, which was removed",
                next_step="invoke destroy, then invoke build",
            )
        folder = self._folder(name)
        config = lxc_machine.write_config(folder, mark, self._cgroups.path(name))
        log = folder / "lxc.log"
        log.unlink(missing_ok=True)
        argv = ["lxc-start", "-P", str(self._machines), "-n", name, "-f", str(config), "-d"]
        try:
            self._network.command(argv, timeout=_START_SECONDS)
        except CommandError as error:
            said = log.read_text(errors="replace") if log.exists() else error.output
            raise CommandError(name, "lxc-start", error.code, said, next_step=f"read {log}") from error

    def _destroy(self, name: str) -> bool:
        """Halt the machine and remove its folders. A folder without our mark is left alone."""
        there = self._mark(name) is not None or name in lxc_machine.half_made(self._machines)
        halted = self._halt(name)
        lxc_machine.discard(self._machines, name, whole=self._mark(name) is not None)
        return halted or there

    def _halt(self, name: str) -> bool:
        """The plug pulled: silent first, then dead, then no trace of it; True when anything ran."""
        mark = self._mark(name)
        if mark is not None:
            self._network.connect(port_name(mark.mac), False)
        killed = self._cgroups.kill(name)
        ended = end_monitors(self._machines, name, patience=_MONITOR_PATIENCE if killed else 0)
        # lxc-start killed at a bad moment leaves a machine without a monitor for a moment, or the reverse.
        killed = self._cgroups.kill(name) or killed
        self._cgroups.remove(name)
        return killed or ended

    def _hold(self, name: str, state: State, *, frozen: bool) -> None:
        if state is State.OFF:
            raise FailedError(f"{name}: {'pause' if frozen else 'resume'}: the machine is off")
        mark = self._mark(name)
        assert mark is not None
        # The kernel would answer for a frozen machine; a stalled real one is silent.
        self._network.connect(port_name(mark.mac), not frozen)
        self._cgroups.freeze(name, frozen)

    def _folder(self, name: str) -> Path:
        return self._machines / name

    def _mark(self, name: str) -> MachineMark | None:
        """The machine's mark, if it has one of this lab's."""
        mark = read_machine_mark(self._folder(name))
        return mark if mark is not None and (mark.lab, mark.name) == (self._lab, name) else None

    def _foreign(self, name: str) -> PreflightError:
        return PreflightError(
            f"{name}: {self._folder(name)} was not made by Plumbline for the lab {self._lab!r}",
            next_step="look at it, then move it away or remove it",
        )

    def _guard(self) -> None:
        """Raise `PreflightError` when the lab's folder or namespace is somebody else's."""
        problems = self._strangers(())
        if problems:
            raise PreflightError("\n".join(map(str, problems)))

    def _strangers(self, names: Iterable[str]) -> list[Problem]:
        problems = []
        reason = stranger(self._home, self._lab)
        if reason:
            fix = "use another name for the lab, or `invoke destroy` where it was made"
            problems.append(Problem(f"lab {self._lab}", reason, "a lab of this checkout, or none", fix))
        elif self._network.exists():
            owner = self._network.owner()
            marked = owner == str(self._home) or (not owner and read_lab_mark(self._home) is not None)
            if not marked:
                problems.append(
                    Problem(
                        f"network namespace {self._network.name}",
                        f"exists and belongs to {owner or 'no lab'}",
                        f"the one of {self._home}, or none",
                        f"if nothing needs it: ip netns delete {self._network.name}",
                    )
                )
        for name in names:
            if self._folder(name).exists() and not self._mark(name):
                problems.append(
                    Problem(
                        f"machine {name}",
                        f"{self._folder(name)} is not Plumbline's",
                        "no such folder, or one with this lab's mark",
                        "look at it, then move it away or remove it",
                    )
                )
        return problems
