"""Power of machines that exist: what the inventory offers, and only after a person has said yes."""

from __future__ import annotations

import shlex
import socket
import sys
import threading
from collections.abc import Callable
from ipaddress import IPv4Network

from lab.errors import PreflightError
from lab.inventory.models import Host
from lab.local import run
from lab.machines import Power

Ask = Callable[[str], bool]
SECONDS = 60.0
_one_question = threading.Lock()
"""Machines are switched at the same time; an answer must belong to the question above it."""
WAKE_PORT = 9
"""discard, where no program listens: network cards look for the pattern in any frame (AMD, Magic Packet)."""


def on_terminal(question: str) -> bool:
    """Ask whoever sits at the terminal, one question at a time; nobody there means no."""
    with _one_question:
        return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def switches_on(host: Host) -> bool:
    """Whether the inventory says how this machine is switched on."""
    return bool(host.power.on or host.power.wake_on_lan)


def switch(name: str, host: Host, lan: IPv4Network, action: Power, ask: Ask) -> None:
    """Carry out a power action as the machine's `power` says. `RESET` is off, then on.

    Raises `PreflightError` when the inventory offers no such action or nobody said yes, `CommandError` and
    `DeadlineError` when the command fails.
    """
    if action is Power.RESET:
        switch(name, host, lan, Power.OFF, ask)
        action = Power.ON
    offered = {Power.ON: host.power.on, Power.OFF: host.power.off}.get(action, "")
    wake = action is Power.ON and not offered and host.power.wake_on_lan
    if not offered and not wake:
        raise PreflightError(
            f"{name}: power {action.value}: the inventory offers no way to do it",
            next_step=f"do it by hand, or add hosts.{name}.power.{action.value} to the inventory",
        )
    how = f"send a wake-up packet to {host.mac}" if wake else f"run `{offered}`"
    if not ask(f"{name}: power {action.value}: {how}?"):
        raise PreflightError(
            f"{name}: power {action.value}: not without a person's yes",
            next_step="the same command on a terminal, or by hand: " + how,
        )
    if wake:
        wake_up(host.mac or "", str(lan.broadcast_address))
    else:
        run(shlex.split(offered), timeout=SECONDS)


def magic_packet(mac: str) -> bytes:
    """Six bytes of ones and sixteen times the address."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def wake_up(mac: str, broadcast: str) -> None:
    """Send a Wake-on-LAN packet to everybody on the LAN."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(magic_packet(mac), (broadcast, WAKE_PORT))
