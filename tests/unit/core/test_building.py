"""A build leaves a page, also when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from invoke.exceptions import Exit

from lab.commands import building
from lab.console import Console
from lab.errors import FailedError, PreflightError
from lab.runs import Run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The run of a build whose steps are chosen by the test; nothing else of it is real."""
    made = Run(tmp_path, "test", "build")
    with Console() as console:
        opened = SimpleNamespace(lab=None, run=made, console=console)

        @contextmanager
        def given(*_: object, **__: object) -> Iterator[SimpleNamespace]:
            yield opened

        monkeypatch.setattr(building, "session", given)
        monkeypatch.setattr(building, "building", given)
        monkeypatch.setattr(building, "exclusive", lambda *_: nullcontext())
        monkeypatch.setattr(building, "check", lambda _: None)
        monkeypatch.setattr("lab.commands.building.heal_left_behind", lambda *_: None)
        yield made
    made.close()


def test_a_build_that_fails_leaves_a_page_with_the_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> bool:
        with run.event("join", "worker-1") as event:
            event["error"] = "worker-1: no answer"
            raise FailedError("worker-1: no answer")

    monkeypatch.setattr(building, "build_lab", fail)
    with pytest.raises(Exit) as caught:
        building.build("rehearsal", "", "modules", "")
    assert caught.value.code == 1
    page = (run.folder / "report.html").read_text()
    assert "invoke build: <span>failed</span>" in page
    assert "worker-1: no answer" in page


def test_a_build_that_began_nothing_leaves_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> bool:
        raise FailedError("not today")

    monkeypatch.setattr(building, "build_lab", refuse)
    with pytest.raises(Exit):
        building.build("rehearsal", "", "modules", "")
    assert not (run.folder / "report.html").exists()


def test_a_fault_that_cannot_be_healed_before_the_machines_run_is_healed_behind_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: the lab's network is not there when the build begins."""
    story: list[str] = []

    def heal(*_: object) -> None:
        story.append("heal")
        if "build" not in story:
            raise FailedError("the lab has no network yet")

    monkeypatch.setattr("lab.commands.building.heal_left_behind", heal)

    def build(_: object) -> bool:
        story.append("build")
        return True

    monkeypatch.setattr(building, "build_lab", build)
    monkeypatch.setattr(building, "summary", lambda *_: story.append("summary"))
    building.build("rehearsal", "", "modules", "")
    assert story == ["heal", "build", "heal", "summary"]
    assert "healed later: the lab has no network yet" in (run.folder / "debug.log").read_text()


def test_a_fault_of_a_living_process_is_not_built_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def heal(*_: object) -> None:
        raise PreflightError("fault power-off of master-2 is live")

    monkeypatch.setattr("lab.commands.building.heal_left_behind", heal)
    monkeypatch.setattr(building, "build_lab", lambda _: pytest.fail("built"))
    with pytest.raises(Exit) as caught:
        building.build("rehearsal", "", "modules", "")
    assert caught.value.code == 3
    assert run.folder.exists()
