"""How a command ends: exit codes, and one block for an error."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from invoke.exceptions import Exit

from lab.commands import artifacts
from lab.commands import session as module
from lab.commands.session import OF_ARTEFACTS, ON_HOSTS, shown, stopping
from lab.errors import (
    AcceptanceError,
    CommandError,
    DeadlineError,
    FailedError,
    InputError,
    PreflightError,
)

pytestmark = pytest.mark.usefixtures("own_signals_and_options")


def ended(error: BaseException, *, verbose: bool = False) -> int:
    """The exit code of a command that raises `error`."""

    @shown
    def command() -> None:
        raise error

    with pytest.raises(Exit) as left:
        command(verbose=verbose)
    code: int = left.value.code
    return code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FailedError("no"), 1),
        (CommandError("m1", "true", 7, "out"), 1),
        (InputError("no"), 2),
        (PreflightError("no"), 3),
        (DeadlineError("x", 1, "y"), 4),
        (AcceptanceError("no"), 5),
        (KeyError("host"), 1),
        (AssertionError("a plan without steps"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_command_raises_becomes_the_documented_exit_code(error: BaseException, code: int) -> None:
    assert ended(error) == code


def test_what_ctrl_c_leaves_is_told_by_what_was_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    def within(*words: str) -> None:
        with ExitStack() as stack:
            for word in words:
                stack.enter_context(stopping(word))
            raise KeyboardInterrupt

    for words, told in (
        ((), "stopped\n"),
        ((ON_HOSTS,), f"stopped: {ON_HOSTS}\n"),
        ((ON_HOSTS, OF_ARTEFACTS), f"stopped: {OF_ARTEFACTS}\n"),
    ):
        with pytest.raises(Exit):
            shown(within)(*words)
        assert capsys.readouterr().err == told


def test_a_fetch_that_is_stopped_says_nothing_of_hosts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts, "provide", stopped)
    with pytest.raises(Exit) as left:
        artifacts.show("rehearsal", "", "modules", "", fetch=True, json=False)
    assert left.value.code == 130
    assert capsys.readouterr().err == f"stopped: {OF_ARTEFACTS}\n"


def test_a_command_that_ends_well_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    shown(lambda *names: seen.extend(names))("a", "b")
    assert seen == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_an_error_is_one_block_with_the_next_command_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended(InputError("x.yaml:3: hosts.m1.address: 10.1.1.256: not an address", next_step="edit x.yaml"))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "error: x.yaml:3: hosts.m1.address: 10.1.1.256: not an address\n  next: edit x.yaml\n"


def test_an_error_is_printed_as_written_though_it_may_look_like_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended(InputError("pools: [default] and [/etc/x] and a very long line " + "x" * 200))
    told = capsys.readouterr().err
    assert "[default] and [/etc/x]" in told
    assert told.count("\n") == 1


def test_a_defect_of_ours_says_so_in_one_line_and_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    ended(KeyError("host"))
    told = capsys.readouterr().err
    place = rf"tests/unit/core/{Path(__file__).name}:\d+"
    said = rf"error: this is a defect of Plumbline: KeyError: 'host' \({place}\)\n"
    assert re.fullmatch(rf"{said}  next: again with --verbose\n", told)


@pytest.mark.parametrize("error", [KeyError("host"), FailedError("no")])
def test_verbose_shows_the_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    ended(error, verbose=True)
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_secrets_are_masked_in_an_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    ended(CommandError("m1", "kubeadm token delete abcdef.0123456789abcdef", 1, "key " + "0f" * 32))
    told = capsys.readouterr().err
    assert "<token>" in told
    assert "<key>" in told
    assert "abcdef.0123456789abcdef" not in told


def test_the_exit_code_of_a_program_we_became_is_kept() -> None:
    assert ended(Exit(code=42)) == 42


def test_a_reader_that_has_gone_is_no_defect() -> None:
    """As in `invoke plan | head -1`: nothing is said about it, and the exit code is the shell's for it."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    program = """
from invoke.exceptions import Exit
from lab.commands.session import shown
try:
    shown(lambda: print("x" * 99999))()
except Exit as left:
    raise SystemExit(left.code)
"""
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=module.ROOT,
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write_end)
    assert (told.returncode, told.stderr) == (141, "")


def test_a_termination_is_handled_like_ctrl_c() -> None:
    @shown
    def command() -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Exit) as left:
        command()
    assert left.value.code == 130


def test_a_full_disk_is_no_defect_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = str(tmp_path / "file")
    assert ended(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), named)) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {named}: No space left on device\n  next: df -h; free some space there")


@pytest.mark.parametrize("variable", ["PLUMBLINE_DATA", "PLUMBLINE_CACHE", "PLUMBLINE_MACHINES"])
@pytest.mark.parametrize(
    "number", [errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EROFS]
)
def test_what_is_wrong_with_a_folder_of_the_user_is_no_defect_and_names_its_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    number: int,
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "mine"))
    named = str(tmp_path / "mine" / "file")
    assert ended(OSError(number, os.strerror(number), named)) == PreflightError.exit_code
    told = capsys.readouterr().err
    assert told.startswith(f"error: {named}: {os.strerror(number)}\n  next: {variable}=/another/folder")


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (errno.ENAMETOOLONG, 2, "/x: File name too long\n  next: correct the path that was given"),
        (errno.ELOOP, 2, "/x: Too many levels of symbolic links\n  next: correct the path that was given"),
        (errno.EACCES, 1, "this is a defect of Plumbline: PermissionError: "),
    ],
)
def test_a_name_that_no_system_takes_is_somebodys_and_no_defect(
    number: int, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(OSError(number, os.strerror(number), "/x")) == code
    assert capsys.readouterr().err.startswith(f"error: {told}")


def test_a_full_disk_whose_path_nobody_says_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".lab").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    free = {tmp_path / ".lab": 4096}
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free.get(path, 2**40)))
    assert ended(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/.lab: No space left on device\n")
