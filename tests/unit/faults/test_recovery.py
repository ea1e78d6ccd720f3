"""What every command of a lab does before its own work when a crashed run left a fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.damage import Damage, Journal
from lab.errors import DeadlineError, FailedError, PreflightError
from lab.faults import power
from lab.faults import recovery as mend
from lab.hosts.converge import HostFacts
from lab.labs import Lab
from lab.locks import exclusive
from lab.machines import State
from lab.render.bundle import Bundle, pins
from lab.ssh import Ssh
from tests.fakes import FakeClock, FakeProvider
from tests.world import INVENTORY, inventory


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose master-2 was switched off by a process that is dead."""
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(power, "forget", lambda *_: None)
    found = inventory(INVENTORY + "disposable: true\n")
    states = dict.fromkeys(found.hosts, State.RUNNING) | {"master-2": State.OFF}
    made = Lab(found, tmp_path, FakeProvider(states=states, prepared=True))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    Journal(made).add(Damage("power-off", "master-2", seconds=60, pid=dead.pid))
    return made


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "gate", lambda _: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def facts(*, booting: bool = False) -> HostFacts:
    return HostFacts(files={}, sysctls={}, units={}, exists={}, booting=booting)


@pytest.fixture
def booted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "look", lambda *_, **__: facts())


@pytest.mark.usefixtures("healthy", "booted")
def test_the_next_command_heals_says_so_and_waits_for_health(lab: Lab) -> None:
    said: list[str] = []
    mend.mend(lab, said.append)
    assert lab.provider.state("master-2") is State.RUNNING
    assert said[0].startswith("healed power-off of master-2, left behind by process")
    assert said[1:] == ["the lab is healthy again"]
    mend.mend(lab, said.append)
    assert len(said) == 2


def test_a_lab_that_does_not_recover_is_said_to_be_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def sick(_: Driver) -> None:
        raise FailedError("after the fault: node master-2: NotReady")

    monkeypatch.setattr(mend, "await_health", sick)
    said: list[str] = []
    assert mend.mend(lab, said.append) == (said[0],)
    assert said[1] == "after the fault: node master-2: NotReady"


def test_a_lab_is_not_called_healthy_while_a_machine_is_still_booting(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: FakeClock
) -> None:
    """Its node is called Ready meanwhile: the cluster has not noticed that the machine was away."""
    silent = FailedError("master-2: not reachable by SSH: connection refused")
    found: tuple[HostFacts | FailedError, ...] = (silent, facts(booting=True), facts())
    answers = {"master-2": iter(found)}
    story: list[str] = []

    def seen(_: Ssh, wanted: Bundle, *, seconds: float) -> HostFacts:
        answer = next(answers[wanted.host]) if wanted.host in answers else facts()
        story.append(wanted.host)
        assert seconds < mend.RECOVERY
        if isinstance(answer, FailedError):
            raise answer
        return answer

    monkeypatch.setattr(mend, "look", seen)
    monkeypatch.setattr(health, "gate", lambda _: story.append("health"))
    mend.await_health(Driver(lab, tmp_path, pins(lab.inventory)))
    assert sorted(story[:-1]) == sorted([*lab.inventory.hosts, "master-2", "master-2"])
    assert story[-1] == "health"
    assert clock.now > 0


@pytest.mark.usefixtures("healthy", "clock")
def test_a_machine_that_does_not_come_up_is_named_with_its_last_state(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mend, "look", lambda _, wanted, **__: facts(booting=wanted.host == "worker-1"))
    said = "boot: not within 300 s; last seen: worker-1: is still booting"
    with pytest.raises(DeadlineError, match=said):
        mend.await_health(Driver(lab, tmp_path, pins(lab.inventory)))


def test_a_lab_that_cannot_be_healed_can_be_looked_at(lab: Lab) -> None:
    """This machine was started anew, for instance, and the lab's network is not there."""
    lab.provider.prepared = False  # type: ignore[attr-defined]
    said: list[str] = []
    assert mend.mend(lab, said.append) == ()
    assert said == ["the lab has no network yet"]
    assert [entry.name for entry in Journal(lab).entries()] == ["power-off"]


def test_a_lab_that_somebody_works_on_is_left_to_him(lab: Lab) -> None:
    said: list[str] = []
    with exclusive(lab, "invoke verify"):
        mend.mend(lab, said.append)
    assert lab.provider.state("master-2") is State.OFF
    assert "`invoke verify`" in said[0]


@pytest.mark.parametrize(
    "error", [Mismatch("node worker-1: Ready", expected="True", seen="False"), CouldNotTell("no API")]
)
def test_nothing_is_broken_in_a_lab_that_is_not_healthy(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def sick(_: Driver) -> None:
        raise error

    monkeypatch.setattr(health, "gate", sick)
    with pytest.raises(PreflightError, match="not healthy, so nothing was broken"):
        mend.must_be_healthy(Driver(lab, tmp_path, pins(lab.inventory)))
