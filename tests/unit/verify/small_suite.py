"""A small suite of its own, run by the real runner in the layer that needs no lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.checks.record import Verdict
from lab.console import Console
from lab.labs import Lab
from lab.runs import Run
from lab.verify import run as runner

FOUR = '''
import pytest
from lab.checks.outcomes import CouldNotTell, Mismatch, NotPartOfLab

@pytest.mark.check("L0-01")
@pytest.mark.each("all")
def test_passes(host):
    """It passes."""

@pytest.mark.check("L0-02")
def test_fails():
    """It fails."""
    raise Mismatch("mode", expected="0600", seen="0644", command="ls", host="worker-1")

def test_plain_assertion():
    assert 1 == 2

def test_unreachable():
    raise CouldNotTell("worker-2: not reachable by SSH: timed out", next_step="invoke ssh worker-2")

def test_unreachable_too():
    raise CouldNotTell("worker-2: not reachable by SSH: timed out", next_step="invoke ssh worker-2")

def test_defect_of_the_check():
    {}["missing"]

def test_bare_skip():
    pytest.skip("no time")

def test_not_here():
    raise NotPartOfLab("storage.kind", "none")

@pytest.fixture
def broken():
    raise OSError("permission denied")

def test_fixture(broken):
    pass

def test_measures(measure):
    measure("gap", 1.5, "s", 10)

def test_gevent_is_not_here():
    import sys
    assert not {"gevent", "locust"} & set(sys.modules)
'''


def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    folder = tmp_path / "suite"
    folder.mkdir()
    for name, text in files.items():
        (folder / f"test_00_render{name}.py").write_text(text)
    monkeypatch.setattr("lab.verify.layers.TESTS", folder)
    monkeypatch.setattr("lab.verify.layers.ADDONS", folder / "none")
    monkeypatch.setattr("lab.verify.layers.PROVIDERS", folder / "none")


def verify(lab: Lab, tmp_path: Path, selection: str = "") -> tuple[Verdict, Path]:
    run = Run(tmp_path, "rehearsal", "invoke verify")
    try:
        return runner.verify(lab, run, Console(), ["render"], selection), run.folder
    finally:
        run.close()


SHARED = '''
import pytest
from lab.checks.outcomes import Mismatch

@pytest.fixture(scope="session")
def site():
    raise Mismatch("pods of front", expected="2 Ready", seen="1", command="kubectl get pods")

@pytest.mark.check("L0-01")
def test_first(site):
    """It needs the site."""

def test_second(site):
    """So does this."""

def test_third(site):
    """And this."""
'''
