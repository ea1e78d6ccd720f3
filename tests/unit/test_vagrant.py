"""Vagrant: what its words mean, and how its commands end."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import CommandError, InputError
from lab.local import Completed
from lab.machines import Power, State
from lab.providers.vagrant import commands as vagrant_commands
from lab.providers.vagrant.commands import VagrantCommands
from lab.providers.vagrant.provider import VagrantProvider
from lab.waits import wait_for
from tests.ended import ended
from tests.soon import SOON, late_once_begun
from tests.unit.vagrant_machines import lab_machines


def answers(
    monkeypatch: pytest.MonkeyPatch, stdout: str, *, code: int = 0, stderr: str = ""
) -> list[list[str]]:
    """Every command of Vagrant ends like this from now on; gives back the list of what is run."""
    asked: list[list[str]] = []

    def run(argv: list[str], *, timeout: float, check: bool) -> Completed:
        assert timeout > 0
        assert not check
        asked.append(argv[argv.index("vagrant") + 1 :])
        return Completed(code, stdout, stderr)

    monkeypatch.setattr(vagrant_commands, "run", run)
    return asked


def test_vagrants_words_become_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "a plugin says: something, with commas, of its own, and more\n"
        "1700000000,master-1,metadata,provider,lxc\n"
        "1700000000,master-1,provider-name,lxc\n"
        "1700000000,master-1,state,running\n"
        "1700000000,haproxy,provider-name,libvirt\n"
        "1700000000,haproxy,state,not_created\n"
        "1700000000,worker-1,provider-name,libvirt\n"
        "1700000000,worker-1,state,shutoff\n"
        "1700000000,worker-2,provider-name,libvirt\n"
        "1700000000,worker-2,state,paused\n"
        "1700000000,worker-3,state,aborted\n"
        "1700000000,,version-latest,2.4.1\n"
        "1700000000,,ui,info,Current machine states:%!(VAGRANT_COMMA)\n"
    )
    asked = answers(monkeypatch, said)
    (tmp_path / "Vagrantfile").touch()
    provider = VagrantProvider(tmp_path, "libvirt", {}, None, {})
    assert provider.machines() == {
        "master-1": State.RUNNING,
        "worker-1": State.OFF,
        "worker-2": State.PAUSED,
        "worker-3": State.OFF,
    }
    assert provider.state("haproxy") is State.ABSENT
    assert asked == [["status", "--machine-readable", "--no-color"]], "states are kept for a moment"


def test_after_a_change_states_are_asked_for_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, "1700000000,haproxy,state,running\n")
    (tmp_path / "Vagrantfile").touch()
    provider = VagrantProvider(tmp_path, "libvirt", {}, None, {})
    assert not provider.create(replace(lab_machines(1)[0], name="haproxy"))
    provider.power("haproxy", Power.RESET)
    provider.power("haproxy", Power.PAUSE)
    provider.power("haproxy", Power.RESUME)
    assert provider.destroy("haproxy")
    assert [" ".join(words).removesuffix(" --no-color") for words in asked] == [
        "status --machine-readable",
        "halt haproxy --force",
        "up haproxy --no-provision",
        "suspend haproxy",
        "resume haproxy",
        "status --machine-readable",
        "destroy haproxy --force",
    ]


def test_plugins_are_those_that_vagrant_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "1796017106,,ui,info,vagrant-libvirt (0.11.2%!(VAGRANT_COMMA) system)\n"
        "1796017106,,plugin-name,vagrant-libvirt\n"
        "1796017106,vagrant-libvirt,plugin-version,0.11.2%!(VAGRANT_COMMA) system\n"
        "1796017106,,plugin-name,vagrant-lxc\n"
        "1796017106,vagrant-lxc,plugin-version,1.4.3\n"
    )
    answers(monkeypatch, said)
    listed = VagrantCommands().plugin_list()
    assert [(item.name, item.version, item.system) for item in listed] == [
        ("vagrant-libvirt", "0.11.2", True),
        ("vagrant-lxc", "1.4.3", False),
    ]


def test_every_command_has_a_deadline_that_ends_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real runner, with a program that stands in for Vagrant and never ends."""
    program = tmp_path / "vagrant"
    child = tmp_path / "child"
    program.write_text(
        f"#!/bin/sh\necho working\nsleep 600 & echo $! > {child}.new\nmv {child}.new {child}\nwait\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def ask(seconds: float) -> None:
        monkeypatch.setattr(vagrant_commands, "SECONDS", seconds)
        VagrantCommands(tmp_path, "libvirt").status()

    late = late_once_begun(child, ask)
    assert "vagrant status --machine-readable" in late.subject
    assert late.last == "working"
    pid = int(child.read_text())
    wait_for("the program's child to end", lambda: ended(pid), seconds=SOON, interval=0.02)


def test_where_there_is_no_vagrant_importing_the_provider_says_nothing() -> None:
    command = [sys.executable, "-c", "import lab.providers.vagrant.face"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/nonexistent"})
    assert done.stdout + done.stderr == ""


def test_a_lab_that_was_never_made_is_absent_without_asking_vagrant(tmp_path: Path) -> None:
    provider = VagrantProvider(tmp_path / "vagrant", "libvirt", {}, None, {})
    assert provider.machines() == {}
    assert provider.state("master-1") is State.ABSENT
    assert not provider.clean()
    assert not provider.leftovers()
    with pytest.raises(InputError, match="--backend: vmware: must be one of libvirt, virtualbox, lxc"):
        VagrantProvider(tmp_path, "vmware", {}, None, {})


def test_an_error_of_a_plugin_shows_its_cause_and_not_rubys_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = "vm_action.rb:7:in `create': No such file: '/run/libvirt/virtlogd-sock' (Libvirt::Error)"
    stack = "".join(
        f"\tfrom /usr/share/gems/vagrant/action/warden.rb:{number}:in `call'\n" for number in range(99)
    )
    ended = Completed(1, "==> haproxy: Starting domain.\n", f"{cause}\n{stack}")
    monkeypatch.setattr(vagrant_commands, "run", lambda *_, **__: ended)
    (tmp_path / "Vagrantfile").touch()
    with pytest.raises(CommandError) as raised:
        VagrantProvider(tmp_path, "libvirt", {}, None, {}).machines()
    shown = raised.value.message.splitlines()
    assert [line.strip() for line in shown[1:]] == ["==> haproxy: Starting domain.", cause]
