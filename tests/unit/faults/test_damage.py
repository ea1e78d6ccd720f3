"""The journal of damage: noted before, undone after, and by whoever comes when nobody undid it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.damage import Damage, Journal, born, undamaged
from lab.errors import CommandError, FailedError, PreflightError
from lab.faults.recovery import heal_left_behind
from lab.labs import Lab
from lab.locks import exclusive
from lab.machines import State
from tests.fakes import FakeSsh
from tests.world import running_lab


@pytest.fixture
def ssh() -> FakeSsh:
    answering = FakeSsh()
    answering.on("", "repair", "")
    return answering


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ssh: FakeSsh) -> Lab:
    return running_lab(tmp_path, monkeypatch, ssh)


@pytest.fixture
def dead() -> int:
    """The number of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process.kill()
    process.wait()
    return process.pid


def defect(name: str, pid: int, host: str = "worker-1") -> Damage:
    return Damage(name, host, f"repair {name}", pid=pid)


def put(monkeypatch: pytest.MonkeyPatch, lab: Lab, folder: Path) -> Journal:
    """The journal of a lab whose keys lie elsewhere."""
    monkeypatch.setattr(lab.keys, "folder", folder)
    return Journal(lab)


@pytest.mark.parametrize("below", ["file", "file/x", "loop/x", "x" * 256])
def test_where_no_note_can_be_there_is_none_and_none_is_written(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    journal = put(monkeypatch, lab, tmp_path / below)
    assert journal.entries() == []
    with pytest.raises(PreflightError, match="the lab's keys cannot be kept there") as refused:
        journal.add(defect("sysctl-off", 1))
    assert refused.value.next_step.startswith("PLUMBLINE_DATA=/another/folder")


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": "x"}]', '[{"what": 1}]', "\xff", None])
def test_a_note_that_cannot_be_read_is_not_taken_for_none(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    note = tmp_path / "keys" / "damage.json"
    note.parent.mkdir()
    if text is None:
        note.mkdir()
    else:
        note.write_bytes(text.encode("latin-1"))
    with pytest.raises(FailedError, match=rf"{note}: (cannot be read|does not say what is broken): ") as told:
        put(monkeypatch, lab, note.parent).entries()
    assert f"rm -r {note}" in told.value.next_step


def test_what_a_killed_selftest_left_is_undone_newest_first(lab: Lab, ssh: FakeSsh, dead: int) -> None:
    said: list[str] = []
    assert heal_left_behind(lab, said.append) == ()
    for name in ("first", "second"):
        Journal(lab).add(defect(name, dead))
    assert list(heal_left_behind(lab, said.append)) == said
    assert said[0].startswith(f"healed seeded defect second of worker-1, left behind by process {dead} since")
    assert ssh.commands() == [("worker-1", "repair second"), ("worker-1", "repair first")]
    assert Journal(lab).entries() == []


def test_a_fault_and_a_defect_are_undone_together(
    lab: Lab, ssh: FakeSsh, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.faults.power.forget", lambda *_: None)
    lab.provider.states["master-2"] = State.OFF  # type: ignore[attr-defined]
    Journal(lab).add(defect("sysctl-off", dead))
    Journal(lab).add(Damage("power-off", "master-2", seconds=60, pid=dead))
    assert len(heal_left_behind(lab, print)) == 2
    assert lab.provider.state("master-2") is State.RUNNING
    assert ssh.commands("repair") == [("worker-1", "repair sysctl-off")]
    assert Journal(lab).entries() == []


def test_what_cannot_be_undone_stays_noted_and_the_rest_does_not(lab: Lab, ssh: FakeSsh, dead: int) -> None:
    ssh.on("worker-1", "repair stuck", CommandError("worker-1", "repair stuck", 1, "no"))
    for name in ("stuck", "fine"):
        Journal(lab).add(defect(name, dead))
    with pytest.raises(FailedError, match="seeded defect stuck of worker-1"):
        heal_left_behind(lab, print)
    assert [entry.name for entry in Journal(lab).entries()] == ["stuck"]


def test_a_defect_of_a_machine_that_is_off_waits_for_it_and_of_one_that_is_gone_is_gone(
    lab: Lab, ssh: FakeSsh, dead: int
) -> None:
    lab.provider.states["worker-1"] = State.OFF  # type: ignore[attr-defined]
    del lab.provider.states["worker-2"]  # type: ignore[attr-defined]
    Journal(lab).add(defect("off", dead))
    Journal(lab).add(defect("gone", dead, "worker-2"))
    with pytest.raises(FailedError, match="off of worker-1: the machine is off"):
        heal_left_behind(lab, print)
    assert [entry.name for entry in Journal(lab).entries()] == ["off"]
    assert ssh.commands() == []


def test_a_defect_of_a_living_process_is_left_to_it(lab: Lab, ssh: FakeSsh) -> None:
    Journal(lab).add(Damage("sysctl-off", "worker-1", "repair sysctl-off"))
    with pytest.raises(PreflightError, match="seeded defect sysctl-off of worker-1 is live since"):
        heal_left_behind(lab, print)
    assert ssh.commands() == []


def test_no_command_judges_a_lab_in_which_something_is_broken(lab: Lab, dead: int) -> None:
    with undamaged(lab, "invoke load"):
        pass
    Journal(lab).add(defect("sysctl-off", dead))
    with (
        pytest.raises(PreflightError, match="damage that is not undone: seeded defect sysctl-off"),
        undamaged(lab, "invoke load"),
    ):
        raise RuntimeError("not reached")
    with exclusive(lab, "invoke build"):  # the lock was given back: a build undoes what it can
        assert Journal(lab).entries()


def test_a_journal_is_the_users_and_not_the_checkouts(lab: Lab, tmp_path: Path, dead: int) -> None:
    Journal(lab).add(defect("sysctl-off", dead))
    elsewhere = Lab(lab.inventory, tmp_path / "elsewhere", lab.provider)
    assert Journal(elsewhere).entries() == Journal(lab).entries()
    Journal(elsewhere).clear()
    assert Journal(lab).entries() == []


def test_two_entries_alike_are_told_apart_by_what_they_are(lab: Lab, dead: int) -> None:
    one, other = defect("one", dead), defect("other", dead)
    for entry in (one, other):
        Journal(lab).add(entry)
    Journal(lab).remove(one)
    assert Journal(lab).entries() == [other]


def test_a_number_that_no_process_can_have_was_never_born() -> None:
    assert born(2**22 + 1) == ""  # beyond the highest pid_max (proc(5))
