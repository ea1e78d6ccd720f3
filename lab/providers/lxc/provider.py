"""The embedded provider: LXC system containers in a network namespace of the lab's own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from ipaddress import IPv4Interface
from pathlib import Path

from lab.artifacts.store import cache_folder
from lab.errors import CommandError, FailedError, PreflightError
from lab.machines import Blocker, Leftovers, Machine, Power, State, Traits, oom_score_restricted
from lab.providers.lxc import machine as lxc_machine
from lab.providers.lxc import preflight as lxc_preflight
from lab.providers.lxc.cgroups import Cgroups
from lab.providers.lxc.config import port_name
from lab.providers.lxc.mark import LAB_MARK, MachineMark, new_lab_mark, own_machine, read_lab_mark, write_mark
from lab.providers.lxc.monitors import end_monitors, monitors
from lab.providers.lxc.network import LabNetwork
from lab.providers.lxc.ownership import strangers, unusable_paths
from lab.providers.lxc.seeds import remove as remove_seeds
from lab.providers.lxc.system import unknown_system

_START_SECONDS = 60.0
_MONITOR_PATIENCE = 5.0  # seconds a monitor gets to tidy up; it took under 0.1 s for each of 6 at once


def traits() -> Traits:
    """What the machines cannot do on this machine's kernel."""
    restricted = oom_score_restricted()
    return Traits(shares_kernel=True, oom_score_restricted=restricted, layered=True)


class LxcProvider:
    """Machines of one lab as LXC containers. The contract is `lab.machines.Provider`.

    `home` is the folder of this lab's machine data, `bridge` the gateway's address on the lab's switch,
    `layers` the read-only folders under every new machine's root, top first (needed by `create` alone).
    """

    def __init__(self, lab: str, home: Path, bridge: IPv4Interface, layers: tuple[Path, ...]) -> None:
        self._lab = lab
        self._home = home.absolute()
        self._layers = layers
        self._network = LabNetwork(lab, self._home, bridge)

    @property
    def _machines(self) -> Path:
        """The folder LXC works on. Raises `PreflightError` for a user who may not even look into it."""
        if os.geteuid() != 0:
            raise PreflightError(
                f"lab {self._lab}: its machines are containers, which only root may see and change",
                next_step="run the same command as root, for instance with sudo",
            )
        return self._home / "machines"

    @cached_property
    def _cgroups(self) -> Cgroups:
        return Cgroups(self._lab)

    def traits_of(self, name: str) -> Traits:  # noqa: ARG002  # all are alike
        return traits()

    def preflight(self, machines: Iterable[Machine]) -> list[Blocker]:
        names = [machine.name for machine in machines]
        facts = lxc_preflight.gather(self._home)
        states = [self.state(name) if facts.root else State.ABSENT for name in names]
        off = sum(state not in (State.RUNNING, State.PAUSED) for state in states)
        absent = states.count(State.ABSENT)
        copied = lxc_preflight.copied_mib(self._home, cache_folder()) if facts.root else 0
        problems = lxc_preflight.judge(facts, len(names), off=off, absent=absent, copied_mib=copied)
        problems += unknown_system()
        problems += unusable_paths([self._home, *self._layers])
        if facts.root and not facts.missing_commands:
            problems += strangers(self._lab, self._home, self._network, names)
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
        return self._on(self._required(machine.name)) or made

    def changes(self, machine: Machine) -> tuple[str, ...]:  # noqa: ARG002
        """None: a container's sizes are limits of this machine's own."""
        return ()

    def remarks(self, machine: Machine) -> list[Blocker]:  # noqa: ARG002
        """None: such a machine is where it was made."""
        return []

    def destroy(self, name: str) -> bool:
        self._guard()
        if self._folder(name).exists():
            self._required(name)
        return self._destroy(name)

    def clean(self) -> bool:
        self._guard()
        names = {*self.machines(), *lxc_machine.half_made(self._machines), *self._cgroups.names()}
        names |= set(monitors(self._machines).values())
        with ThreadPoolExecutor(max_workers=16) as pool:
            destroyed = any(list(pool.map(self._destroy, sorted(names))))
        networked = self._network.remove()
        had_home = self._home.exists()
        # Only what is empty, the mark last: a folder of somebody else's stays and shows in the leftovers.
        with contextlib.suppress(OSError):
            if self._machines.exists():
                self._machines.rmdir()
                remove_seeds(self._home)
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
                "cgroup": tuple(map(str, self._cgroups.folders())),
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
        mark = self._required(name)
        if action in (Power.OFF, Power.RESET):
            self._halt(name)
        if action in (Power.ON, Power.RESET):
            self._on(mark)
        if action in (Power.PAUSE, Power.RESUME):
            self._hold(mark, frozen=action is Power.PAUSE)

    def console(self, name: str) -> str:
        file = self._folder(name) / "console.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _on(self, mark: MachineMark) -> bool:
        """Make sure the machine runs and its cable is in; True when something was done."""
        state = self.state(mark.name)
        if state is State.OFF:
            self._halt(mark.name)
            self._start(mark)
            return True
        connected = self._network.connect(port_name(mark.mac), True)
        if state is State.PAUSED:
            self._cgroups.freeze(mark.name, False)
        return connected or state is State.PAUSED

    def _start(self, mark: MachineMark) -> None:
        """Start a machine that is off and has no trace of its last run."""
        name = mark.name
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
        if self.state(name) is State.OFF:
            where = self._cgroups.path(name)
            raise FailedError(
                f"{name}: was started, but no process lives in its cgroup {where}",
                next_step=f"read {folder / 'console.log'}",
            )

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
        if mark is not None:
            self._network.unplug(port_name(mark.mac))
        self._cgroups.remove(name)
        return killed or ended

    def _hold(self, mark: MachineMark, *, frozen: bool) -> None:
        if self.state(mark.name) is State.OFF:
            raise FailedError(f"{mark.name}: {'pause' if frozen else 'resume'}: the machine is off")
        # The kernel would answer for a frozen machine; a stalled real one is silent.
        self._network.connect(port_name(mark.mac), not frozen)
        self._cgroups.freeze(mark.name, frozen)

    def _folder(self, name: str) -> Path:
        return self._machines / name

    def _mark(self, name: str) -> MachineMark | None:
        """The machine's mark, if it has one of this lab's."""
        return own_machine(self._folder(name), self._lab)

    def _required(self, name: str) -> MachineMark:
        """The machine's mark. Raises `PreflightError` for somebody else's, `FailedError` for none."""
        problems = strangers(self._lab, self._home, self._network, [name])
        if problems:
            raise PreflightError("\n".join(map(str, problems)))
        mark = self._mark(name)
        if mark is None:
            raise FailedError(f"{name}: there is no such machine", next_step="invoke build")
        return mark

    def _guard(self) -> None:
        """Raise `PreflightError` when the lab's folder or namespace is somebody else's."""
        problems = strangers(self._lab, self._home, self._network, [])
        if problems:
            raise PreflightError("\n".join(map(str, problems)))
