"""HAProxy's own view of the API servers, from its admin socket."""

from __future__ import annotations

import csv
import io

from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell

SOCKET = "/run/haproxy/admin.sock"
STAT = f"echo 'show stat' | socat stdio {SOCKET}"


def servers(driver: Driver) -> dict[str, dict[str, str]]:
    """Every field of `show stat` (HAProxy's management guide, 9.1) of each API server, by its name.

    Raises `CouldNotTell` when the balancer cannot be asked, or knows none.
    """
    host = driver.inventory.balancer
    rows = csv.DictReader(io.StringIO(driver.read(host, STAT).lstrip("# ")))
    backend = [row for row in rows if row["pxname"] == "kube-apiservers" and row["svname"] != "BACKEND"]
    if not backend:
        raise CouldNotTell(f"{host}: HAProxy has no server for the API", next_step=f"invoke ssh {host}")
    return {row["svname"]: row for row in backend}
