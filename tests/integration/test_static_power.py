"""Power of machines that exist: packets that arrive, commands that run, a person at a real terminal."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab.errors import CommandError, PreflightError
from lab.inventory.loading import load
from lab.inventory.models import Host
from lab.inventory.sections import HostPower
from lab.machines import Power
from lab.providers.static import power as static_power
from lab.providers.static.power import on_terminal, switch
from tests.soon import SOON

LOOPBACK = IPv4Network("127.0.0.0/8")
MAC = "02:00:00:00:00:07"


def machine(power: HostPower) -> Host:
    """A Pi of the production inventory with another way to switch it."""
    return load("production").hosts["pi-1"].model_copy(update={"power": power, "mac": MAC})


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What a network card hears that listens to the broadcasts of its LAN."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((str(LOOPBACK.broadcast_address), 0))
        listening.settimeout(SOON)
        monkeypatch.setattr(static_power, "WAKE_PORT", listening.getsockname()[1])
        yield listening


def test_a_wake_up_packet_arrives_at_every_card_of_the_lan(card: socket.socket) -> None:
    switch("pi-1", machine(HostPower(wake_on_lan=True)), LOOPBACK, Power.ON, lambda _: True)
    heard = card.recv(1024)
    assert heard == bytes.fromhex("ffffffffffff" + "020000000007" * 16)
    assert len(heard) == 102


def test_nothing_is_sent_without_a_yes(card: socket.socket) -> None:
    with pytest.raises(PreflightError, match="not without a person's yes"):
        switch("pi-1", machine(HostPower(wake_on_lan=True)), LOOPBACK, Power.ON, lambda _: False)
    card.setblocking(False)
    with pytest.raises(BlockingIOError):
        card.recv(1024)


@pytest.fixture
def outlet(tmp_path: Path) -> Path:
    """A program as people have for PoE ports and for IPMI; it keeps what it was told, and refuses `soft`."""
    program = tmp_path / "my outlet"
    program.write_text(
        f"#!/bin/sh\nprintf '<%s>' \"$@\" >> '{tmp_path}/told'\n"
        "case $* in *soft*) echo 'no such power state' >&2; exit 4;; esac\n"
    )
    program.chmod(0o755)
    return program


def test_a_command_of_the_inventory_runs_as_it_is_written(outlet: Path, tmp_path: Path) -> None:
    poe = machine(HostPower(off=f"'{outlet}' --port 'row 3' off", on=f"'{outlet}' --port 'row 3' on"))
    switch("pi-1", poe, LOOPBACK, Power.RESET, lambda _: True)
    ipmi = machine(HostPower(on=f"'{outlet}' -H 10.1.1.99 chassis power on"))
    switch("pi-1", ipmi, LOOPBACK, Power.ON, lambda _: True)
    assert (tmp_path / "told").read_text() == (
        "<--port><row 3><off><--port><row 3><on><-H><10.1.1.99><chassis><power><on>"
    )


def test_a_command_that_fails_shows_what_it_said(outlet: Path) -> None:
    ipmi = machine(HostPower(off=f"'{outlet}' chassis power soft"))
    with pytest.raises(CommandError, match="no such power state"):
        switch("pi-1", ipmi, LOOPBACK, Power.OFF, lambda _: True)


def test_a_person_at_a_terminal_answers_each_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyboard, terminal = os.openpty()
    with os.fdopen(keyboard, "wb", buffering=0) as typed, os.fdopen(terminal) as seen:
        monkeypatch.setattr("sys.stdin", seen)
        typed.write(b"y\nn\nYES\n\n")
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(on_terminal, [f"pi-{number}: power off?" for number in range(1, 5)]))
    assert sorted(answers) == [False, False, True, True]
    asked = capsys.readouterr().out
    assert [asked.count(f"pi-{number}: power off? [y/N] ") for number in range(1, 5)] == [1, 1, 1, 1]


def test_nobody_at_the_terminal_means_no(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "yes").write_text("y\n")
    with (tmp_path / "yes").open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert not on_terminal("pi-1: power off?")
