"""kill -9 at every point of making and removing real machines: the next call finishes the work."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.rootfs import debian_tree
from lab.artifacts.store import Store
from lab.local import run
from lab.machines import Machine, State
from lab.providers.lxc import machine as lxc_machine
from lab.providers.lxc import provider as lxc
from lab.providers.lxc.cgroups import Cgroups
from lab.providers.lxc.config import port_name
from lab.providers.lxc.monitors import monitors
from lab.providers.lxc.network import LabNetwork
from lab.providers.lxc.provider import LxcProvider
from lab.render.roles import all_packages
from lab.waits import NotYet, wait_for
from tests.soon import SOON

BRIDGE = IPv4Interface("10.1.1.1/24")
MACHINE = Machine("m1", IPv4Interface("10.1.1.11/24"), "02:50:4c:00:00:01", 1, 512, 5, {"user-data": ""})


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str) -> Callable[..., None]:
    """The function of that name, and death right after it."""
    function = getattr(owner, name)

    def both(*args: object, **named: object) -> None:
        function(*args, **named)
        die()

    return both


def start_and_die(network: LabNetwork, argv: list[str], **_: object) -> None:
    """lxc-start goes on alone."""
    if os.fork() == 0:
        os.setsid()
        run_inside(network, argv, timeout=SOON)
        os._exit(0)
    die()


run_inside = LabNetwork.command
CREATING: dict[str, tuple[Any, str, Callable[..., None]]] = {
    "the lab is marked": (lxc, "write_mark", after(lxc, "write_mark")),
    "the namespace is empty": (LabNetwork, "_in", die),
    "the switch has its mark": (LabNetwork, "make", after(LabNetwork, "make")),
    "the folder is half full": (lxc_machine, "_fill_upper", after(lxc_machine, "_fill_upper")),
    "the folder is not marked": (lxc_machine, "write_mark", die),
    "the folder has its first name": (Path, "rename", die),
    "the machine is off": (LxcProvider, "_start", die),
    "lxc-start is at work": (LabNetwork, "command", start_and_die),
    "the machine runs": (LxcProvider, "_start", after(LxcProvider, "_start")),
}
DESTROYING: dict[str, tuple[Any, str, Callable[..., None]]] = {
    "the port is silent": (Cgroups, "kill", die),
    "the machine is dead": (Cgroups, "remove", die),
    "the folder is to be removed": (lxc_machine, "discard", die),
    "the folder has its last name": (Path, "rename", after(Path, "rename")),
    "the machines are gone": (LabNetwork, "remove", die),
    "the network is gone": (LabNetwork, "remove", after(LabNetwork, "remove")),
}


def crash(point: str, provider: LxcProvider) -> None:
    """Create, or create and clean, in a process that dies at the point."""
    child = os.fork()
    if child == 0:
        try:
            if point in DESTROYING:
                provider.prepare()
                provider.create(MACHINE)
            owner, name, deadly = (CREATING | DESTROYING)[point]
            setattr(owner, name, deadly)
            if point in DESTROYING:
                provider.clean()
            else:
                provider.prepare()
                provider.create(MACHINE)
        finally:  # this copy of the test run must not go on
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture(scope="module")
def layer() -> Path:
    return debian_tree(Store(), all_packages(), "amd64", say=lambda _line: None)


@pytest.fixture
def lab(layer: Path, tmp_path: Path) -> Iterator[tuple[LxcProvider, str, Path]]:
    name, home = f"crash-{os.getpid()}", tmp_path / "lab"
    provider = LxcProvider(name, home, BRIDGE, (layer,))
    yield provider, name, home
    provider.clean()
    assert not provider.leftovers()


@pytest.mark.parametrize("point", [*CREATING, *DESTROYING])
def test_create_finishes_what_was_killed_when(point: str, lab: tuple[LxcProvider, str, Path]) -> None:
    provider, name, home = lab
    crash(point, provider)
    assert provider.preflight([MACHINE]) == []
    provider.prepare()
    provider.create(MACHINE)
    assert provider.machines() == {"m1": State.RUNNING}
    assert len(monitors(home / "machines")) == 1
    port = run(["ip", "-d", "-n", f"plumbline-{name}", "link", "show", port_name(MACHINE.mac)], timeout=SOON)
    assert "state forwarding" in port.stdout
    assert not provider.prepare()
    assert not provider.create(MACHINE)


@pytest.mark.parametrize("point", [*CREATING, *DESTROYING])
def test_clean_removes_what_was_killed_when(point: str, lab: tuple[LxcProvider, str, Path]) -> None:
    provider, _, _ = lab
    crash(point, provider)
    assert provider.clean()
    assert not provider.leftovers()
    assert not provider.clean()


def test_a_machine_whose_monitor_was_killed_is_off_or_removed_all_the_same(
    lab: tuple[LxcProvider, str, Path],
) -> None:
    provider, _, home = lab
    provider.prepare()
    provider.create(MACHINE)
    (monitor,) = monitors(home / "machines")
    os.kill(monitor, signal.SIGKILL)

    def ended() -> None:
        if provider.state("m1") is not State.OFF:
            raise NotYet(provider.state("m1"))

    wait_for("m1 dies with its monitor", ended, seconds=SOON, interval=0.05)
    assert provider.create(MACHINE)
    assert provider.state("m1") is State.RUNNING
