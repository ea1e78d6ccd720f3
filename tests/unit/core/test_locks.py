"""One command at a time may change a lab; a lock dies with its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import PreflightError
from lab.labs import Lab
from lab.locks import exclusive
from tests.fakes import FakeProvider
from tests.soon import SOON
from tests.world import INVENTORY, inventory

HOLDER = """
import sys
from pathlib import Path
from lab.labs import Lab
from lab.locks import exclusive
from tests.fakes import FakeProvider
from tests.world import inventory

with exclusive(Lab(inventory(), Path("/other/checkout"), FakeProvider()), "invoke destroy"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    return Lab(inventory(), tmp_path, FakeProvider())


@pytest.fixture
def holder(lab: Lab) -> Iterator[subprocess.Popen[str]]:  # noqa: ARG001
    """Another process that holds the lab."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lab_is_held_and_given_back(lab: Lab) -> None:
    for _ in range(2):
        with exclusive(lab, "invoke build"):
            owner = json.loads((lab.keys.folder / "owner.json").read_text())
            assert (owner["command"], owner["pid"]) == ("invoke build", os.getpid())
        assert not (lab.keys.folder / "owner.json").exists()


def test_a_lab_is_given_back_when_the_command_fails(lab: Lab) -> None:
    with pytest.raises(ValueError, match="no"), exclusive(lab, "invoke build"):
        raise ValueError("no")
    with exclusive(lab, "invoke build"):
        pass


def test_c40_a_second_command_is_refused_at_once_and_told_who_is_at_work(
    lab: Lab, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(PreflightError) as refused, exclusive(lab, "invoke build"):
        pass
    assert refused.value.message.startswith(f"test: `invoke destroy` (process {holder.pid}, since 20")
    assert "in /other/checkout) is at work on this lab" in refused.value.message
    assert "end that process" in refused.value.next_step
    assert refused.value.exit_code == 3


def test_a_command_of_the_same_process_is_refused_too(lab: Lab) -> None:
    with exclusive(lab, "invoke build"), pytest.raises(PreflightError), exclusive(lab, "invoke plan"):
        pass


def test_c40_the_lock_of_a_killed_command_is_free(lab: Lab, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=SOON)
    assert (lab.keys.folder / "owner.json").exists()
    with exclusive(lab, "invoke build"):
        assert json.loads((lab.keys.folder / "owner.json").read_text())["pid"] == os.getpid()


def test_an_owner_that_left_no_readable_note_is_refused_without_a_name(
    lab: Lab, holder: subprocess.Popen[str]
) -> None:
    assert holder.poll() is None
    (lab.keys.folder / "owner.json").write_text("{")
    with pytest.raises(PreflightError, match="test: another command is at work"), exclusive(lab, "x"):
        pass


def test_two_labs_are_held_at_the_same_time(lab: Lab, tmp_path: Path) -> None:
    other = Lab(inventory(INVENTORY.replace("lab: test", "lab: other")), tmp_path, FakeProvider())
    with exclusive(lab, "invoke build"), exclusive(other, "invoke build"):
        pass


def test_the_lab_of_another_checkout_is_the_same_lab(lab: Lab, tmp_path: Path) -> None:
    elsewhere = Lab(lab.inventory, tmp_path / "elsewhere", FakeProvider())
    with exclusive(lab, "invoke build"), pytest.raises(PreflightError), exclusive(elsewhere, "invoke build"):
        pass


def test_a_lab_whose_keys_cannot_be_kept_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", "/dev/null/x")
    with (
        pytest.raises(PreflightError, match=r"/dev/null/x/test: .* /dev/null: Not a directory"),
        exclusive(lab, "invoke destroy"),
    ):
        pass
