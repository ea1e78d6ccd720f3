"""`invoke preflight --json`: one shape on standard output, whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from lab.commands import examining
from lab.errors import FailedError
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.machines import Blocker, State
from lab.steps.preflight import folders
from tests.fakes import FakeProvider
from tests.unit.core.terminal import without_terminal
from tests.world import inventory

KEYS = ["lab", "ready", "machines", "findings", "error"]
FINDING = {"subject", "seen", "wanted", "fix", "state"}
INVALID = Path(__file__).parents[2] / "fixtures" / "inventory" / "invalid"


def asked(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    """Exit code and what was printed, of a lab of the fakes."""
    wanted = inventory()
    wanted._warnings = ("warning: x.yaml:3: hypervisors.pve: carries no machine; remove it",)
    monkeypatch.setattr(examining, "read", lambda *_: wanted)
    # the store of whoever runs the tests may lack something, and their disk the room for it
    monkeypatch.setattr("lab.steps.preflight.possible", lambda *_: [[]])
    monkeypatch.setattr(examining, "open_lab", lambda found: lab_of(found, provider))
    code = 0
    try:
        examining.preflight("rehearsal", "", json=True)
    except Exit as left:
        code = left.code or 0
    told = json.loads(capfd.readouterr().out)
    assert list(told) == KEYS
    assert all(set(finding) == FINDING for finding in told["findings"])
    return code, told


def lab_of(found: Inventory, provider: FakeProvider) -> Lab:
    return Lab(found, Path("/nowhere"), provider)


def test_a_machine_that_can_take_it_is_ready_and_warnings_are_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, told = asked(FakeProvider(), monkeypatch, capfd)
    assert code == 0
    assert (told["lab"], told["ready"], told["machines"], told["error"]) == ("test", True, 6, None)
    [finding] = told["findings"]
    assert finding == {
        "subject": "inventory",
        "state": "warning",
        "seen": "x.yaml:3: hypervisors.pve: carries no machine",
        "wanted": "",
        "fix": "remove it",
    }


def test_a_warning_of_the_provider_is_a_finding_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    warning = Blocker("operating system", "Minix 3", "Debian 12", "go on", stops=False)
    code, told = asked(FakeProvider(problems=[warning]), monkeypatch, capfd)
    assert (code, told["ready"]) == (0, True)
    [first, _] = told["findings"]
    assert first == {
        "subject": "operating system",
        "seen": "Minix 3",
        "wanted": "Debian 12",
        "fix": "go on",
        "state": "warning",
    }


def test_every_refusal_is_a_finding_and_the_exit_code_is_preflights(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    problems = [
        Blocker("free memory", "100 MiB", "2100 MiB for 6 machines", "use fewer hosts"),
        Blocker("command lxc-start", "missing", "installed", "apt-get install lxc"),
    ]
    code, told = asked(FakeProvider(problems=problems), monkeypatch, capfd)
    assert code == 3
    assert told["ready"] is False
    refused = [finding for finding in told["findings"] if finding["state"] == "refused"]
    assert [(item["subject"], item["seen"], item["wanted"], item["fix"]) for item in refused] == [
        (item.subject, item.seen, item.wanted, item.fix) for item in problems
    ]


def test_a_provider_that_cannot_be_asked_is_an_error_in_the_same_shape(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Gone(FakeProvider):
        def preflight(self, machines: object) -> list[Blocker]:  # noqa: ARG002
            raise FailedError("pve-1: no answer", next_step="invoke preflight")

    code, told = asked(Gone(), monkeypatch, capfd)
    assert code == 1
    assert (told["lab"], told["ready"], told["machines"]) == ("test", False, None)
    assert told["error"] == {"exit_code": 1, "message": "pve-1: no answer", "next": "invoke preflight"}


@pytest.mark.parametrize("name", ["storage-later", "document-second-colon", "address-duplicate"])
def test_a_wrong_inventory_is_told_as_json_alone(name: str) -> None:
    path = INVALID / f"{name}.yaml"
    done = without_terminal("preflight", "--json", "-i", str(path))
    told = json.loads(done.stdout)
    assert done.returncode == 2
    assert list(told) == KEYS
    assert (told["lab"], told["ready"], told["machines"], told["findings"]) == (None, False, None, [])
    assert told["error"]["exit_code"] == 2
    assert f"{name}.yaml:" in told["error"]["message"]
    assert done.stderr == ""


def test_folders_in_which_nothing_can_be_kept_are_findings(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", "/dev/null/data")
    monkeypatch.setenv("PLUMBLINE_CACHE", "/dev/null/cache")
    code, told = asked(FakeProvider(), monkeypatch, capfd)
    assert code == 3
    assert [
        (item["subject"], item["seen"], item["fix"].partition("=")[0]) for item in told["findings"][:2]
    ] == [
        ("/dev/null/data/test", "/dev/null: Not a directory", "PLUMBLINE_DATA"),
        ("/dev/null/cache", "/dev/null: Not a directory", "PLUMBLINE_CACHE"),
    ]


def test_folders_whose_names_the_system_refuses_are_findings(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", f"/tmp/{'x' * 300}")
    monkeypatch.setattr("lab.steps.preflight.possible", lambda *_: pytest.fail("no store to look into"))
    code, told = asked(FakeProvider(), monkeypatch, capfd)
    assert (code, told["error"]) == (3, None)
    [finding] = [item for item in told["findings"] if item["state"] == "refused"]
    assert finding["seen"] == f"/tmp/{'x' * 300}: File name too long"
    assert finding["fix"].startswith("PLUMBLINE_CACHE=/another/folder")


def test_a_cache_that_is_there_and_read_only_may_have_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "entries").mkdir()
    monkeypatch.setattr("lab.steps.preflight.unwritable", lambda folder: f"{folder}: cannot be written")
    assert [item.stops for item in folders(tmp_path / "data", tmp_path)] == [True, False]


def test_a_defect_is_told_in_the_same_shape(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken(FakeProvider):
        def preflight(self, machines: object) -> list[Blocker]:  # noqa: ARG002
            raise KeyError("pve-1")

    code, told = asked(Broken(), monkeypatch, capfd)
    assert (code, told["ready"]) == (1, False)
    assert (told["error"]["exit_code"], told["error"]["next"]) == (1, "again with --verbose")
    assert told["error"]["message"].startswith("this is a defect of Plumbline: KeyError: 'pve-1' (tests/")


class Blind(FakeProvider):
    """No machine can be looked at."""

    def state(self, name: str) -> State:
        raise FailedError(f"{name}: nobody may look", next_step="look elsewhere")


def test_why_no_machine_can_be_looked_at_is_the_provider_s_to_tell(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    blocker = Blocker("token", "not granted", "VM.Audit", "grant it")
    code, told = asked(Blind(problems=[blocker]), monkeypatch, capfd)
    assert (code, told["ready"], told["error"]) == (3, False, None)
    assert told["findings"][0]["subject"] == "token"
    code, told = asked(Blind(problems=[]), monkeypatch, capfd)
    assert (code, told["error"]["message"]) == (1, "haproxy: nobody may look")
