"""The frame around a command: a run folder, the user's own options, Ctrl-C."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from types import FrameType

import pytest
from invoke.exceptions import Exit

import tasks
from lab.commands import session as module
from lab.commands.hints import with_options
from lab.commands.session import read, session, shown
from lab.errors import (
    FailedError,
    InputError,
)
from tests.world import INVENTORY

pytestmark = pytest.mark.usefixtures("own_signals_and_options")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("invoke build again", "invoke build -i prod -p lxc again"),
        ("invoke status; invoke logs", "invoke status -i prod -p lxc; invoke logs -i prod -p lxc"),
        ("`invoke destroy --host m1` and", "`invoke destroy -i prod -p lxc --host m1` and"),
        ("invoke ssh -i other m1", "invoke ssh -i other m1"),
        ("invoke artifacts --fetch", "invoke artifacts --fetch"),
        ("invoke artifacts.bundle --to x", "invoke artifacts.bundle -i prod -p lxc --to x"),
        ("invoke builder", "invoke builder"),
        ("invoke show; invoke render", "invoke show -i prod -p lxc; invoke render -i prod -p lxc"),
        ("invoke init mine", "invoke init mine"),
    ],
)
def test_proposed_commands_carry_the_users_own_options(text: str, told: str) -> None:
    assert tasks.namespace
    assert with_options(text, {"inventory": "prod", "provider": "lxc"}) == told
    assert with_options(text, {"inventory": "rehearsal", "provider": ""}) == text
    assert with_options(text, {"provider": "lxc"}) == text


def test_an_error_of_a_chosen_lab_proposes_commands_for_that_lab(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(INVENTORY)

    @shown
    def command(inventory: str, provider: str) -> None:
        read(inventory, provider)
        raise FailedError("no", next_step="invoke logs")

    with pytest.raises(Exit):
        command(str(path), "")
    assert f"next: invoke logs -i {path}\n" in capsys.readouterr().err


def test_a_command_with_another_default_lab_names_the_lab_that_was_meant() -> None:
    """`proxmox.role` means production when nothing is said."""
    said = {"inventory": "production"}
    assert with_options("invoke logs", said) == "invoke logs -i production"
    assert with_options("invoke proxmox.role", said) == "invoke proxmox.role"
    said = {"inventory": "rehearsal", "provider": "lxc"}
    assert with_options("invoke proxmox.role", said) == "invoke proxmox.role -i rehearsal"


def test_what_a_rehearsal_replaced_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    assert read("production", "lxc").lab == "production-lxc"
    assert "note: provider: proxmox -> lxc" in capsys.readouterr().err


def test_a_session_has_a_run_folder_and_closes_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOT", tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(INVENTORY)
    before = list(logging.getLogger("plumbline").handlers)
    with session("plan", str(path)) as opened:
        assert opened.run.folder.parent == tmp_path / ".lab/test/runs"
        opened.console.say("looking", "m1")
    assert logging.getLogger("plumbline").handlers == before
    assert "m1: looking" in (opened.run.folder / "debug.log").read_text()


def test_the_log_of_a_failed_command_holds_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOT", tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(INVENTORY)
    with pytest.raises(KeyError), session("plan", str(path)) as opened:
        raise KeyError("abcdef.0123456789abcdef")
    log = (opened.run.folder / "debug.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert "KeyError: '<token>'" in log


def test_a_bad_inventory_leaves_no_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOT", tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(INVENTORY.replace("10.1.1.31", "10.1.1.32"))
    with pytest.raises(InputError, match=r"10\.1\.1\.32"), session("plan", str(path)):
        pass
    assert not (tmp_path / ".lab").exists()


def test_ctrl_c_is_an_exception_while_a_command_runs_and_no_longer() -> None:
    def early(_number: int, _frame: FrameType | None) -> None:
        pytest.fail("ended the process")

    seen = []
    command = shown(lambda: seen.append(signal.getsignal(signal.SIGINT)))
    before = signal.getsignal(signal.SIGINT)
    try:
        for outside in (early, signal.SIG_IGN):
            signal.signal(signal.SIGINT, outside)
            command()
            assert signal.getsignal(signal.SIGINT) is outside
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.default_int_handler, signal.SIG_IGN]
