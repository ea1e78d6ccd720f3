"""One API server at a time is taken out of HAProxy's rotation, and comes back whatever happens."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.errors import DeadlineError, FailedError
from lab.ssh import Ssh
from lab.waits import NotYet, wait_for

BACKEND = "kube-apiservers"
SOCKET = "/run/haproxy/admin.sock"
FORCED_DRAIN = 0x08
"""Bit of srv_admin_state: drained by command (HAProxy's management guide, `show servers state`)."""
SECONDS = 15.0
"""For connections to end by themselves; those of watches stay, and the API server ends them in order."""


def _say(ssh: Ssh, balancer: str, words: str) -> str:
    return ssh.run(balancer, f"echo '{words}' | socat -t 5 stdio {SOCKET}", seconds=15)


def drained(ssh: Ssh, balancer: str) -> frozenset[str]:
    """The API servers that somebody, an interrupted run say, left drained."""
    lines = _say(ssh, balancer, f"show servers state {BACKEND}").splitlines()
    header = next((line for line in lines if line.startswith("#")), "")
    columns = header.lstrip("# ").split()
    rows = [dict(zip(columns, line.split(), strict=False)) for line in lines if BACKEND in line.split()]
    return frozenset(row["srv_name"] for row in rows if int(row["srv_admin_state"]) & FORCED_DRAIN)


def connections(ssh: Ssh, balancer: str, name: str) -> int:
    """How many connections HAProxy has to an API server."""
    rows = csv.DictReader(io.StringIO(_say(ssh, balancer, "show stat").lstrip("# ")))
    return next((int(row["scur"]) for row in rows if (row["pxname"], row["svname"]) == (BACKEND, name)), 0)


def back(ssh: Ssh, balancer: str, name: str) -> None:
    """Into the rotation again; a server that is in it already stays so."""
    _set(ssh, balancer, name, "ready")


def _set(ssh: Ssh, balancer: str, name: str, state: str) -> None:
    said = _say(ssh, balancer, f"set server {BACKEND}/{name} state {state}").strip()
    if said:  # it answers a good command with an empty line
        raise FailedError(
            f"{balancer}: HAProxy does not set {name} to {state}: {said}",
            next_step=f"invoke ssh {balancer}",
        )


@contextmanager
def out(ssh: Ssh, balancer: str, name: str, note: Callable[[str], None]) -> Iterator[None]:
    """The API server gets no new connection while the block runs."""
    try:
        _set(ssh, balancer, name, "drain")
        _ended(ssh, balancer, name, note)
        yield
    finally:
        back(ssh, balancer, name)


def _ended(ssh: Ssh, balancer: str, name: str, note: Callable[[str], None]) -> None:
    """Wait for the connections to end, with a bound: a watch stays for hours."""

    def probe() -> None:
        count = connections(ssh, balancer, name)
        note(f"{count} connections")
        if count:
            raise NotYet(f"{count} connections")

    try:
        wait_for(f"end of the connections to {name}", probe, seconds=SECONDS, interval=0.5)
    except DeadlineError as error:
        note(f"goes on with {error.last}, which the API server ends in order")
