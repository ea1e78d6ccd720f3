"""HAProxy's own view of the API servers, from its admin socket."""

from __future__ import annotations

import csv
import io

from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import agrees

SOCKET = "/run/haproxy/admin.sock"
STAT = f"echo 'show stat' | socat stdio {SOCKET}"


def stat(driver: Driver) -> list[dict[str, str]]:
    """`show stat`: every frontend, backend and server with all of its fields."""
    said = driver.read(driver.inventory.balancer, STAT)
    return list(csv.DictReader(io.StringIO(said.lstrip("# "))))


def servers(driver: Driver) -> dict[str, dict[str, str]]:
    """Every field of `show stat` (HAProxy's management guide, 9.1) of each API server, by its name.

    Raises `CouldNotTell` when the balancer cannot be asked, or knows none.
    """
    host, rows = driver.inventory.balancer, stat(driver)
    backend = [row for row in rows if row["pxname"] == "kube-apiservers" and row["svname"] != "BACKEND"]
    if not backend:
        raise CouldNotTell(f"{host}: HAProxy has no server for the API", next_step=f"invoke ssh {host}")
    return {row["svname"]: row for row in backend}


def lead_to_the_masters(driver: Driver) -> None:
    """The running HAProxy sends what it gives to a server to that master's address and port.

    A reload that did not happen, or a `set server` by hand, leaves old addresses beside a right file, and a
    server that leads to another master is UP. Raises `CouldNotTell` when the balancer cannot be asked, or
    does not tell addresses: the field `addr` is for sockets of level operator and above.
    """
    inventory, host = driver.inventory, driver.inventory.balancer
    seen = {name: row.get("addr", "") for name, row in servers(driver).items()}
    if not all(seen.values()):
        raise CouldNotTell(
            f"{host}: HAProxy does not tell its servers' addresses at {SOCKET}: the level is too low",
            next_step=f"invoke ssh {host}",
        )
    wanted = {
        name: f"{inventory.hosts[name].address}:{inventory.kubernetes.api_port}" for name in inventory.masters
    }
    agrees("addresses of HAProxy's servers", seen, wanted, command=STAT, host=host)
