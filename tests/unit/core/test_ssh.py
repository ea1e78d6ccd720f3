"""What each end of a command over SSH means. `ssh` itself is a script."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import CommandError, DeadlineError, FailedError
from lab.ssh import Keys, Ssh, close_connections, reachable, shorten

Script = Callable[[str], Ssh]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """An `ssh` that is this shell script."""

    def make(text: str) -> Ssh:
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return Ssh(tmp_path / "ssh_config")

    return make


def test_c38_dead_control_sockets_are_removed_with_their_folder(
    keys: Keys, sockets: Path, script: Script
) -> None:
    script("exit 255")
    close_connections(keys.folder)
    sockets.mkdir()
    for name in ("one", "two"):
        (sockets / name).touch()
    close_connections(keys.folder)
    assert not sockets.exists()


def test_a_command_runs_as_root_in_a_shell_and_gives_back_its_end(script: Script) -> None:
    ssh = script('for last; do :; done; echo "$last"; cat; echo wrong >&2; exit 3')
    result = ssh.try_run("master-1", "echo 'it''s' | cat", stdin="für\n")
    assert result.code == 3
    assert result.stderr == "wrong\n"
    sent, _, rest = result.stdout.partition("\n")
    assert rest == "für\n"
    assert sent.startswith("sudo -n sh -c ")
    told = subprocess.run(
        ["sh", "-c", sent.removeprefix("sudo -n ")], capture_output=True, text=True, check=True
    )
    assert told.stdout == "its\n"


def test_a_command_reads_a_file_or_what_is_poured(script: Script, tmp_path: Path) -> None:
    ssh = script("wc -c")
    (tmp_path / "file").write_bytes(bytes(1000))
    assert ssh.run("master-1", "cat", stdin=tmp_path / "file").strip() == "1000"
    poured = ssh.run("master-1", "cat", stdin=lambda stream: stream.write(bytes(1 << 20)))
    assert int(poured) == 1 << 20


def test_what_is_poured_ends_with_a_command_that_takes_too_long(script: Script) -> None:
    ssh = script("exec sleep 60")
    with pytest.raises(DeadlineError):
        ssh.run("master-1", "cat", seconds=0.2, stdin=lambda stream: stream.write(bytes(1 << 20)))


def test_ssh_is_never_asked_for_a_password(script: Script, tmp_path: Path) -> None:
    ssh = script("")
    assert ssh.argv("m1", "true") == [
        "ssh",
        "-F",
        str(tmp_path / "ssh_config"),
        "-o",
        "BatchMode=yes",
        "m1",
        "true",
    ]


def test_a_failed_command_tells_host_first_line_code_and_output(script: Script) -> None:
    ssh = script("echo no such file >&2; exit 2")
    with pytest.raises(CommandError) as failed:
        ssh.run("master-1", "cat /etc/x\nsecond line")
    assert (failed.value.host, failed.value.command, failed.value.code) == ("master-1", "cat /etc/x", 2)
    assert "no such file" in failed.value.message


def test_output_stands_in_for_a_message_that_a_command_did_not_give(script: Script) -> None:
    with pytest.raises(CommandError, match="only on standard output"):
        script("echo only on standard output; exit 1").run("m1", "x")


def test_255_is_a_host_that_cannot_be_reached_and_no_exit_code(script: Script) -> None:
    ssh = script("echo 'ssh: connect to host 10.1.1.11 port 22: No route to host' >&2; exit 255")
    with pytest.raises(FailedError, match=r"m1: not reachable by SSH: .*No route to host") as failed:
        ssh.try_run("m1", "true")
    assert not isinstance(failed.value, CommandError)
    with pytest.raises(FailedError, match="no message"):
        script("exit 255").try_run("m1", "true")


def test_c38_a_message_about_the_socket_is_shown_as_it_is(script: Script) -> None:
    said = 'unix_listener: path "/run/x" too long for Unix domain socket'
    with pytest.raises(FailedError, match="too long for Unix domain socket"):
        script(f"echo '{said}' >&2; exit 255").try_run("m1", "true")


def test_a_command_that_hangs_ends_at_its_deadline(script: Script) -> None:
    with pytest.raises(DeadlineError, match=r"m1: `kubectl get`: not within 0.2 s; last seen: still running"):
        script("exec sleep 30").try_run("m1", "kubectl get", seconds=0.2)


def test_output_that_is_no_text_does_not_break_it(script: Script) -> None:
    assert script(r"printf '\377ok'").run("m1", "x").endswith("ok")


def test_reachable_tells_each_host_apart(script: Script) -> None:
    ssh = script('case "$*" in *m2*) exit 255;; *m3*) exit 1;; esac')
    assert reachable(ssh, ["m1", "m2", "m3"]) == {"m1": True, "m2": False, "m3": False}


@pytest.mark.parametrize(
    ("command", "short"),
    [
        ("true", "true"),
        ("  one\ntwo", "one"),
        ("", ""),
        (" \n", ""),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 119 + "…"),
    ],
)
def test_a_command_is_shown_by_its_first_line(command: str, short: str) -> None:
    assert shorten(command) == short


def test_secrets_of_a_command_and_its_output_are_not_logged(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """The log's formatter masks too; but half a secret, cut off before, would no longer be one."""
    key = "-----BEGIN PRIVATE KEY-----\n" + "abcd\n" * 500 + "-----END PRIVATE KEY-----"
    caplog.set_level("DEBUG", logger="plumbline")
    script(f"cat <<'END'\n{key}\nEND").run("m1", "cat key")
    assert "<pem>" in caplog.text
    assert "abcd" not in caplog.text
