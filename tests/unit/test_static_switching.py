"""Machines that exist: switched as the inventory says, only with a yes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.errors import PreflightError
from lab.inventory.loading import load
from lab.inventory.models import Host
from lab.inventory.sections import HostPower
from lab.machines import Power
from lab.providers.static import power as static_power
from lab.providers.static.power import magic_packet, switch
from tests.world import inventory


def host(power: HostPower, mac: str | None = None) -> Host:
    return load("production").hosts["pi-1"].model_copy(update={"power": power, "mac": mac})


LAN = inventory().network.lan


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(static_power, "run", lambda argv, **_: found.append(argv))
    monkeypatch.setattr(static_power, "wake_up", lambda *address: found.append(address))
    return found


def test_power_is_switched_as_the_inventory_says_after_a_yes(sent: list[Any]) -> None:
    questions: list[str] = []

    def yes(question: str) -> bool:
        questions.append(question)
        return True

    machine = host(HostPower(off="poe --port '3 4' off", wake_on_lan=True), "02:00:00:00:00:07")
    switch("pi-1", machine, LAN, Power.RESET, yes)
    assert sent == [["poe", "--port", "3 4", "off"], ("02:00:00:00:00:07", "10.1.1.255")]
    assert questions[0] == "pi-1: power off: run `poe --port '3 4' off`?"


def test_nothing_is_switched_without_a_yes_or_a_way(sent: list[Any]) -> None:
    with pytest.raises(PreflightError, match="not without a person's yes"):
        switch("pi-1", host(HostPower(off="poe off")), LAN, Power.OFF, lambda _: False)
    for action in (Power.ON, Power.PAUSE):
        with pytest.raises(PreflightError, match="the inventory offers no way"):
            switch("pi-1", host(HostPower(off="poe off")), LAN, action, lambda _: True)
    assert sent == []


def test_a_question_waits_for_the_answer_to_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = threading.Barrier(2)

    def answer(_question: str) -> str:
        try:
            meeting.wait(0.2)
        except threading.BrokenBarrierError:
            meeting.reset()
            return "y"
        return "asked beside another question"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(static_power.on_terminal, ["pi-1?", "pi-2?"])) == [True, True]


def test_a_magic_packet_is_what_cards_listen_for() -> None:
    packet = magic_packet("02:00:00:00:00:07")
    assert packet == b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 7]) * 16
