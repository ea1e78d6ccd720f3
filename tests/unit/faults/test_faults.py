"""Faults: refused where they must not be, and healed whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.damage import Damage, Journal
from lab.errors import PreflightError
from lab.faults import power
from lab.faults.catalogue import KINDS
from lab.faults.inject import injected
from lab.faults.kinds import Fault
from lab.faults.recovery import heal_left_behind
from lab.labs import Lab
from lab.machines import State
from tests.fakes import FakeProvider
from tests.soon import SOON
from tests.world import INVENTORY, inventory


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(power, "forget", lambda *_: None)
    found = inventory(INVENTORY + "disposable: true\n")
    return Lab(found, tmp_path, FakeProvider(states=dict.fromkeys(found.hosts, State.RUNNING), prepared=True))


def power_off(host: str, seconds: float = 240.0) -> Fault:
    return Fault(KINDS["power-off"], host, seconds)


def nothing() -> None:
    """A gate of a healthy lab."""


def state(lab: Lab, host: str) -> State:
    return lab.provider.state(host)


def test_a_fault_lives_in_its_block_and_leaves_no_note(lab: Lab) -> None:
    with injected(lab, power_off("master-2"), before=nothing, after=nothing) as live:
        assert state(lab, "master-2") is State.OFF
        [note] = Journal(lab).entries()
        assert (note.name, note.host, note.seconds) == ("power-off", "master-2", 240.0)
        assert note.alive
        assert live.healed is None
    assert state(lab, "master-2") is State.RUNNING
    assert live.healed is not None
    assert Journal(lab).entries() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, AssertionError, SystemExit])
def test_a_fault_is_healed_when_its_block_ends_badly(lab: Lab, error: type[BaseException]) -> None:
    gates: list[str] = []
    with (
        pytest.raises(error),
        injected(lab, power_off("master-2"), before=nothing, after=lambda: gates.append("after")),
    ):
        raise error
    assert state(lab, "master-2") is State.RUNNING
    assert Journal(lab).entries() == []
    assert gates == []  # the block's own error is the better one


def test_without_health_there_is_no_fault(lab: Lab) -> None:
    def sick() -> None:
        raise AssertionError("etcd has two members")

    with (
        pytest.raises(AssertionError, match="two members"),
        injected(lab, power_off("master-2"), before=sick, after=nothing),
    ):
        raise RuntimeError("not reached")
    assert state(lab, "master-2") is State.RUNNING
    assert Journal(lab).entries() == []


def test_a_lab_that_may_not_be_broken_is_not_broken(lab: Lab, tmp_path: Path) -> None:
    kept = Lab(inventory(), tmp_path, lab.provider)
    with (
        pytest.raises(PreflightError, match="`disposable` is false"),
        injected(kept, power_off("master-2"), before=nothing, after=nothing),
    ):
        raise RuntimeError("not reached")


@pytest.mark.parametrize(("host", "said"), [("master-9", "no such host"), ("master-3", "the machine is off")])
def test_a_fault_that_cannot_be_is_refused(lab: Lab, host: str, said: str) -> None:
    lab.provider.states["master-3"] = State.OFF  # type: ignore[attr-defined]
    with (
        pytest.raises(PreflightError, match=said),
        injected(lab, power_off(host), before=nothing, after=nothing),
    ):
        raise RuntimeError("not reached")


def test_one_fault_at_a_time(lab: Lab) -> None:
    with injected(lab, power_off("master-2"), before=nothing, after=nothing):
        with (
            pytest.raises(PreflightError, match=rf"is live since .*process {os.getpid()}"),
            injected(lab, power_off("master-3"), before=nothing, after=nothing),
        ):
            raise RuntimeError("not reached")
        assert state(lab, "master-3") is State.RUNNING
        assert state(lab, "master-2") is State.OFF
    assert state(lab, "master-2") is State.RUNNING


def test_a_fault_does_not_outlive_its_bound(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    healed = threading.Event()
    heal = Fault.heal

    def watched(self: Fault, where: Lab) -> None:
        heal(self, where)
        healed.set()

    monkeypatch.setattr(Fault, "heal", watched)
    with injected(lab, power_off("master-2", 0.01), before=nothing, after=nothing):
        assert healed.wait(SOON)
        assert state(lab, "master-2") is State.RUNNING


def leave_behind(lab: Lab, **more: Any) -> None:
    """The note of a process that was killed."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lab.provider.states["master-2"] = State.OFF  # type: ignore[attr-defined]
    Journal(lab).add(Damage(**{"name": "power-off", "host": "master-2", "pid": dead.pid, **more}))


def test_what_a_killed_run_left_is_healed_by_the_next(lab: Lab) -> None:
    leave_behind(lab)
    said: list[str] = []
    assert list(heal_left_behind(lab, said.append)) == said
    assert "power-off of master-2" in said[0]
    assert state(lab, "master-2") is State.RUNNING
    assert heal_left_behind(lab, said.append) == ()


def test_a_fault_of_a_living_process_is_left_to_it(lab: Lab) -> None:
    leave_behind(lab, pid=os.getpid())
    with pytest.raises(PreflightError, match="is live since"):
        heal_left_behind(lab, print)
    assert state(lab, "master-2") is State.OFF


def test_a_number_that_another_process_got_keeps_no_fault_alive(lab: Lab) -> None:
    leave_behind(lab, pid=os.getpid(), born="1")
    assert heal_left_behind(lab, print)
    assert state(lab, "master-2") is State.RUNNING


def test_a_fault_of_another_version_is_named(lab: Lab) -> None:
    leave_behind(lab, name="solar-flare")
    with pytest.raises(PreflightError, match=r"fault solar-flare of master-2 .* not known to this version"):
        heal_left_behind(lab, print)
