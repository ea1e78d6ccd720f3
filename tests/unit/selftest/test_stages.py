"""Where defects are put: noted before they are applied, and undone whatever happens, if need be by others."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.console import Console
from lab.damage import Damage, Journal
from lab.errors import CommandError, FailedError, InputError
from lab.faults.recovery import heal_left_behind
from lab.labs import Lab
from lab.selftest import drift as drifting
from lab.selftest.defect import Breakage, Defect, Slip
from lab.selftest.prove import Finding
from lab.selftest.stages import AT_ONCE, OnCopy, OnLab
from lab.verify.run import ROOT
from tests.fakes import Call, FakeSsh
from tests.soon import SOON
from tests.world import running_lab


@pytest.fixture
def ssh() -> FakeSsh:
    return FakeSsh()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ssh: FakeSsh) -> Lab:
    return running_lab(tmp_path, monkeypatch, ssh)


def breakage(name: str, host: str = "worker-1", **fields: Any) -> Breakage:
    return Breakage(
        name=name,
        title=name,
        layer="node",
        row="L1-08",
        host=host,
        says=name,
        damage=f"break {name}",
        repair=f"mend {name}",
        **fields,
    )


WAVE = [breakage("one"), breakage("two", "worker-2"), breakage("three")]


def noted(lab: Lab) -> set[str]:
    return {entry.name for entry in Journal(lab).entries()}


def test_a_whole_wave_is_noted_before_the_first_of_it_is_applied(
    lab: Lab, ssh: FakeSsh, tmp_path: Path
) -> None:
    seen: list[set[str]] = []

    def answer(_: Call) -> str:
        seen.append(noted(lab))
        return ""

    ssh.on("", "break", answer)
    assert OnLab(lab, tmp_path).apply(WAVE) == {}
    assert seen == [{"one", "two", "three"}] * 3
    assert set(ssh.commands()) == {
        ("worker-1", "break one"),
        ("worker-2", "break two"),
        ("worker-1", "break three"),
    }


def test_some_are_applied_and_undone_at_the_same_time(lab: Lab, ssh: FakeSsh, tmp_path: Path) -> None:
    """The first two wait for each other: one after the other they would never meet."""
    assert AT_ONCE >= 2
    meeting = threading.Barrier(2, timeout=SOON)

    def meet(_: Call) -> str:
        meeting.wait()
        return ""

    ssh.on("", "break", meet)
    ssh.on("", "mend", meet)
    stage = OnLab(lab, tmp_path)
    assert stage.apply(WAVE[:2]) == {}
    assert stage.undo() == []
    assert noted(lab) == set()


def test_one_that_cannot_be_applied_is_told_and_undone_like_all_others(
    lab: Lab, ssh: FakeSsh, tmp_path: Path
) -> None:
    ssh.on("", "", "")
    ssh.on("worker-2", "break two", CommandError("worker-2", "break two", 1, "no such file"))
    stage = OnLab(lab, tmp_path)
    problems = stage.apply(WAVE)
    assert list(problems) == ["two"]
    assert "no such file" in problems["two"]
    assert stage.undo() == []
    assert {command for _, command in ssh.commands("mend")} == {"mend one", "mend two", "mend three"}


def test_what_cannot_be_undone_is_told_and_stays_noted(lab: Lab, ssh: FakeSsh, tmp_path: Path) -> None:
    ssh.on("", "", "")
    ssh.on("worker-2", "mend", CommandError("worker-2", "mend two", 1, "read-only file system"))
    stage = OnLab(lab, tmp_path)
    stage.apply(WAVE)
    (problem,) = stage.undo()
    assert "seeded defect two of worker-2" in problem
    assert noted(lab) == {"two"}


@pytest.mark.parametrize(
    ("error", "ended"),
    [(CommandError("worker-1", "mend one", 1, "busy"), []), (FailedError("no route to host"), ["worker-1"])],
)
def test_a_connection_that_others_share_is_ended_only_when_it_is_dead(
    lab: Lab,
    ssh: FakeSsh,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    ended: list[str],
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("lab.damage.forget", lambda _, host: seen.append(host))
    ssh.on("", "break", "")
    ssh.on("", "mend", error)
    stage = OnLab(lab, tmp_path)
    stage.apply(WAVE[:1])
    assert len(stage.undo()) == 1
    assert seen == ended


def test_a_wave_of_a_killed_selftest_is_undone_by_the_next_command(
    lab: Lab, ssh: FakeSsh, tmp_path: Path
) -> None:
    """Killed while it applied: one damage is in place, another not yet; all repairs may be run."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process.kill()
    process.wait()
    ssh.on("", "mend", "")
    Journal(lab).add(*(Damage(one.name, one.place, one.repair, pid=process.pid) for one in WAVE))
    healed = heal_left_behind(lab, lambda _: None)
    assert [text.split(" left")[0] for text in healed] == [
        "healed seeded defect three of worker-1,",
        "healed seeded defect two of worker-2,",
        "healed seeded defect one of worker-1,",
    ]
    assert [command for _, command in ssh.commands()] == ["mend three", "mend two", "mend one"]
    assert noted(lab) == set()
    assert OnLab(lab, tmp_path).undo() == []


def slip(**fields: Any) -> Slip:
    file = "templates/haproxy/haproxy.cfg.j2"
    values = {"name": "slip", "title": "", "row": "L0-07", "says": "x", "file": file, "old": "uri /readyz"}
    return Slip(new="uri /version", **values | fields)


def test_a_mistake_is_made_in_the_copy_alone_and_taken_out_again(lab: Lab, tmp_path: Path) -> None:
    stage, other = OnCopy(lab, tmp_path / "a"), OnCopy(lab, tmp_path / "b")
    original = (ROOT / slip().file).read_text()
    strange = slip(name="strange", old="no such words")
    problems = stage.apply([slip(), strange])
    assert list(problems) == ["strange"]
    assert "haproxy.cfg.j2 does not hold `no such words`" in problems["strange"]
    copy = tmp_path / "a" / "checkout" / slip().file
    assert "uri /version" in copy.read_text()
    assert (ROOT / slip().file).read_text() == original
    assert (tmp_path / "b" / "checkout" / slip().file).read_text() == original
    assert stage.undo() == other.undo() == []
    assert copy.read_text() == original


class Clock:
    """A minute passes with each look at it."""

    def __init__(self) -> None:
        self.minutes = 0

    def monotonic(self) -> float:
        self.minutes += 1
        return 60.0 * self.minutes


def test_chance_goes_on_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looked: list[tuple[str, list[str]]] = []
    waves: list[list[str]] = []

    def proven(_stage: Any, _console: Console, wave: Any) -> list[Finding]:
        waves.append([defect.name for defect in wave.defects])
        return [Finding(defect, caught=True, undone=True, found=()) for defect in wave.defects]

    def healthy(_stage: Any, _console: Console, layer: str, defects: list[Defect]) -> None:
        looked.append((layer, [defect.name for defect in defects]))

    monkeypatch.setattr(drifting, "time", Clock())
    monkeypatch.setattr(drifting, "proven", proven)
    monkeypatch.setattr(drifting, "healthy", healthy)
    monkeypatch.setattr(drifting, "OnLab", lambda *_: None)
    heard: list[Finding] = []
    defects = [*WAVE, slip()]
    at = (None, tmp_path, Console(), defects, heard.append)
    found = drifting.drift(*at, seed="s", minutes=5)  # type: ignore[arg-type]
    assert looked == [("node", ["one", "two", "three"])]
    assert len(waves) == 4
    assert [item.defect.name for item in found] == [name for names in waves for name in names]
    assert heard == found
    with pytest.raises(InputError, match="--random: --select picks no defect of a running lab"):
        drifting.drift(None, tmp_path, Console(), [slip()], print, seed="s", minutes=5)  # type: ignore[arg-type]


def test_a_lab_that_is_red_already_is_not_drifted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def red(*_: Any) -> None:
        raise FailedError("node: not green before anything was broken: L1-08 worker-1")

    monkeypatch.setattr(drifting, "healthy", red)
    monkeypatch.setattr(drifting, "OnLab", lambda *_: None)
    monkeypatch.setattr(drifting, "proven", lambda *_: pytest.fail("something was broken"))
    with pytest.raises(FailedError, match="not green before"):
        drifting.drift(None, tmp_path, Console(), WAVE, print, seed="s", minutes=5)  # type: ignore[arg-type]
