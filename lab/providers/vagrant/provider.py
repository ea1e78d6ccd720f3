"""Machines made by Vagrant: libvirt, VirtualBox or lxc, from one Vagrantfile that reads what we render.

Vagrant keeps its own books below the lab's folder and touches only what stands in them. Each of its commands
starts Ruby and takes seconds, so states are asked for all machines at once and kept for a moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from lab.errors import FailedError, InputError
from lab.local import run
from lab.machines import Blocker, Leftovers, Machine, Power, State, Traits, oom_score_restricted
from lab.providers.lxc import preflight as lxc_preflight
from lab.providers.lxc.config import SYSCTLS
from lab.providers.lxc.network import LabNetwork
from lab.providers.vagrant import preflight as vagrant_preflight
from lab.providers.vagrant.commands import VagrantCommands

BACKENDS = ("libvirt", "virtualbox", "lxc")
SEED_SECONDS = 180.0
FRESH_SECONDS = 60.0
"""How long states are kept unless we change one: a look at them costs two seconds of a processor."""
CONTAINERS = Path("/var/lib/lxc")
"""Where vagrant-lxc has LXC put its machines (lxc.lxcpath as Debian sets it)."""
STATES = {
    "running": State.RUNNING,
    "not_created": State.ABSENT,
    "saved": State.PAUSED,
    "paused": State.PAUSED,
    "frozen": State.PAUSED,
}
"""Words of the three backends, as python-vagrant gives them; every other one is a machine that is off."""


class VagrantProvider:
    """Machines of one lab. The contract is `lab.machines.Provider`.

    `folder` holds Vagrantfile, machines.json, seeds and Vagrant's own state; `files` are the first two, by
    name; `network` is the embedded network of the lxc backend, None for the others; `traits` are those of
    each machine on any backend.
    """

    def __init__(
        self,
        folder: Path,
        backend: str,
        files: Mapping[str, str],
        network: LabNetwork | None,
        traits: Mapping[str, Traits],
    ) -> None:
        if backend not in BACKENDS:
            raise InputError(f"--backend: {backend}: must be one of {', '.join(BACKENDS)}")
        self._folder, self._backend, self._files, self._network = folder, backend, files, network
        self._traits = traits
        self._commands = VagrantCommands(folder, backend, network)
        self._states: tuple[float, dict[str, State]] | None = None
        self._guard, self._making = threading.Lock(), threading.Lock()
        self._settled: set[str] = set()

    def traits_of(self, name: str) -> Traits:
        if self._backend != "lxc":
            return self._traits[name]
        restricted = oom_score_restricted()
        return replace(self._traits[name], shares_kernel=True, oom_score_restricted=restricted)

    def preflight(self, machines: Iterable[Machine]) -> list[Blocker]:
        listed = list(machines)
        facts = vagrant_preflight.gather(self._backend, self._folder)
        problems = vagrant_preflight.judge(facts, self._backend, listed)
        if self._backend == "lxc":  # containers need of this machine what our own need
            absent = sum(self.state(machine.name) is State.ABSENT for machine in listed)
            here = lxc_preflight.gather(CONTAINERS)
            problems += lxc_preflight.judge(here, len(listed), off=len(listed), absent=absent)
        return problems

    def enter(self) -> None:
        if self._network:
            self._network.enter()

    def prepare(self) -> bool:
        changed = self._network.make() if self._network else False
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._files.items():
            path = self._folder / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
                changed = True
        for key in SYSCTLS if self._network else ():
            setting = self._folder / "sysctl" / key
            if not setting.exists():
                setting.parent.mkdir(parents=True, exist_ok=True)
                setting.write_text(Path("/proc/sys", key).read_text())
        return changed

    def create(self, machine: Machine) -> bool:
        state = self.state(machine.name)
        if state is State.RUNNING:
            return False
        if state is State.ABSENT:
            self._write_seed(machine)
        with self._turn(machine.name), self._change() as commands:
            commands.up(machine.name, no_provision=True, provider=self._backend)
        return True

    def changes(self, machine: Machine) -> tuple[str, ...]:  # noqa: ARG002
        """None: Vagrant gives a machine its sizes when it makes it."""
        return ()

    def remarks(self, machine: Machine) -> list[Blocker]:  # noqa: ARG002
        """None: such a machine is where it was made."""
        return []

    def destroy(self, name: str) -> bool:
        if self.state(name) is State.ABSENT:
            return False
        with self._change() as commands:
            commands.destroy(name)
        return True

    def clean(self) -> bool:
        there = self._folder.exists()
        if self.machines():
            with self._change() as commands:
                commands.destroy()
        for name in ("seeds", "sysctl", ".vagrant"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        for name in self._files:
            (self._folder / name).unlink(missing_ok=True)
        # only what is empty: a file of somebody else's stays, and the folder shows in the leftovers
        with contextlib.suppress(OSError):
            self._folder.rmdir()
        networked = self._network.remove() if self._network else False
        return there or networked

    def leftovers(self) -> Leftovers:
        items = {"machine": tuple(self.machines())}
        items["folder"] = (str(self._folder),) if self._folder.exists() else ()
        items["namespace"] = (self._network.name,) if self._network and self._network.exists() else ()
        return Leftovers(items)

    def machines(self) -> dict[str, State]:
        return {name: state for name, state in sorted(self._all().items()) if state is not State.ABSENT}

    def state(self, name: str) -> State:
        return self._all().get(name, State.ABSENT)

    def power(self, name: str, action: Power) -> None:
        if action in (Power.PAUSE, Power.RESUME) and self._backend == "lxc":
            raise FailedError(f"{name}: {action.value}: vagrant-lxc cannot do it")
        with self._change() as commands:
            if action in (Power.OFF, Power.RESET):
                commands.halt(name, force=True)
            if action in (Power.ON, Power.RESET):
                commands.up(name, no_provision=True)
            if action is Power.PAUSE:
                commands.suspend(name)
            if action is Power.RESUME:
                commands.resume(name)

    def console(self, name: str) -> str:  # noqa: ARG002  # none of the backends keeps it
        return ""

    @contextlib.contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        """Machines are made at once as far as the backend can.

        Each `up` is a process, and vagrant-libvirt's locks (around the network and the volume that a box
        becomes) hold within one: the first machine of a box goes alone. Vagrant makes VirtualBox's machines
        one after the other, so do we. vagrant-lxc shares nothing between machines.
        """
        box = self._boxes[name] if self._backend == "libvirt" else ""
        with contextlib.ExitStack() as alone:
            if self._backend != "lxc":
                alone.enter_context(self._making)
            if box in self._settled:
                alone.close()
            yield
            if box:
                self._settled.add(box)

    @cached_property
    def _boxes(self) -> dict[str, str]:
        """The box of each machine."""
        listed = json.loads(self._files["machines.json"])["machines"]
        return {machine["name"]: machine["boxes"][self._backend] for machine in listed}

    def _all(self) -> dict[str, State]:
        with self._guard:
            if not (self._folder / "Vagrantfile").exists():
                return {}
            if self._states is None or time.monotonic() - self._states[0] > FRESH_SECONDS:
                listed = self._commands.status()
                # lines that concern no machine make an item without a state
                states = {item.name: STATES.get(item.state, State.OFF) for item in listed if item.state}
                self._states = (time.monotonic(), states)
            return self._states[1]

    @contextlib.contextmanager
    def _change(self) -> Iterator[VagrantCommands]:
        """Commands that change machines: whatever they came to, the states are asked for anew."""
        try:
            yield self._commands
        finally:
            self._states = None

    def _write_seed(self, machine: Machine) -> None:
        """The NoCloud seed as a folder (lxc binds it into the machine) and as a disk (the others)."""
        seed = self._folder / "seeds" / machine.name
        seed.mkdir(parents=True, exist_ok=True)
        seed.chmod(0o700)  # it holds the host's key
        for name, text in machine.cloud_init.items():
            file = seed / name
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
                opened.write(text)
        if self._backend != "lxc":
            iso = seed.with_suffix(".iso")
            tool = vagrant_preflight.iso_tool()
            argv = [*tool, "-output", str(iso), "-volid", "cidata", "-joliet", "-rock", "-quiet", str(seed)]
            run(argv, timeout=SEED_SECONDS)
            iso.chmod(0o600)
