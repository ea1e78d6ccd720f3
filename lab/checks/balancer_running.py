"""The HAProxy that runs: a reload with another text leaves a right file beside a wrong balancer.

Its admin socket tells frontends, backends, servers and when a check counts; of the time-outs only the one of
a connection that stands, by what is left of it (management guide, `show stat` and `show sess`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from shlex import quote

from lab.checks.balancer import SOCKET, STAT, stat
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import holds, nothing
from lab.inventory.models import Inventory

CONFIG = "/etc/haproxy/haproxy.cfg"
FRONTEND, BACKENDS = "kube-apiserver", ("kube-apiservers", "kube-apiservers-unready")
"""The second takes over while no API server is ready: its servers are not checked."""
SESS = f"echo 'show sess' | socat stdio {SOCKET}"
SLACK_SECONDS = 10.0
"""From a connection's beginning to the answer about it, on a busy machine."""
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_NEXT = {"d": 3600, "h": 60, "m": 1, "s": 1}
"""The second unit beside each, which is the smallest."""
_PROGRAM = """
import re, socket, time
mine = socket.create_connection(("{address}", {port}), 5)
source, until, told = "src=%s:%d " % mine.getsockname()[:2], time.monotonic() + 5, ""
while not told and time.monotonic() < until:
    asked = socket.socket(socket.AF_UNIX)
    asked.connect("{socket}")
    asked.sendall(b"show sess\\n")
    lines = asked.makefile().read().splitlines()
    # from the server nothing is awaited before it is connected
    own = "".join(line for line in lines if source in line)
    told = "".join(re.findall(r" rp\\[\\S*,rx=([^,]+),", own))
print(told)
"""


def runs_as_declared(driver: Driver, host: str) -> None:
    """The running HAProxy has the declared frontend, backends, servers and checks, and waits as long.

    Raises `CouldNotTell` when it cannot be asked, or no connection through it stands within 5 s.
    """
    inventory = driver.inventory
    config = next(file.text for file in driver.bundles[host].files if file.path == CONFIG)
    found = differences(declared(inventory) | brought(config), running(stat(driver)))
    nothing("HAProxy as it runs", found, rule="as declared", command=STAT, host=host)
    address, _, port = inventory.endpoint.rpartition(":")
    program = _PROGRAM.format(address=address, port=port, socket=SOCKET)
    told = driver.read(host, f"python3 -c {quote(program)}").strip()
    if not told:
        raise CouldNotTell(f"{host}: HAProxy leads a connection to no server", next_step=f"invoke ssh {host}")
    low, high = bounds(told)
    wanted = inventory.load_balancer.timeout_tunnel_seconds
    holds(
        "time-out of a connection that stands (timeout tunnel)",
        low <= wanted <= high,
        expected=f"{wanted} s",
        seen=f"{told} are left of it",
        command=SESS,
        host=host,
    )


def declared(inventory: Inventory) -> dict[str, str]:
    """What HAProxy must be, in the words of `running`."""
    balancer, port = inventory.load_balancer, inventory.kubernetes.api_port
    found = {f"frontend {FRONTEND}": "tcp"} | {f"backend {name}": "tcp, roundrobin" for name in BACKENDS}
    checks = (f"rise {balancer.rise}, fall {balancer.fall}", "not checked")
    for backend, check in zip(BACKENDS, checks, strict=True):
        for name in inventory.masters:
            address = f"{inventory.hosts[name].address}:{port}"
            found[f"server {backend}/{name}"] = f"{address}, weight 1, {check}"
    return found


def brought(config: str) -> dict[str, str]:
    """The frontends that add-ons put at the end of the file, in the words of `running`."""
    parts = re.findall(r"^frontend (\S+)\n((?:[ \t].*\n|\n)*)", config, re.MULTILINE)
    modes = {name: re.search(r"^\s+mode (\w+)", text, re.MULTILINE) for name, text in parts}
    return {
        f"frontend {name}": mode.group(1) if mode else "tcp"
        for name, mode in modes.items()
        if name != FRONTEND
    }


def running(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What `show stat` tells of each frontend, backend and server."""
    found = {}
    for row in rows:
        proxy, name = row["pxname"], row["svname"]
        if name in ("FRONTEND", "BACKEND"):
            told = ", ".join(filter(None, (row["mode"], row["algo"])))
            found[f"{name.lower()} {proxy}"] = told
        else:
            check = f"rise {row['check_rise']}, fall {row['check_fall']}"
            check = check if row["check_rise"] else row["status"].replace("no check", "not checked")
            found[f"server {proxy}/{name}"] = f"{row['addr']}, weight {row['uweight']}, {check}"
    return found


def differences(wanted: Mapping[str, str], seen: Mapping[str, str]) -> list[str]:
    """One line for each that is missing, that nobody declared, or that is otherwise."""
    return [
        f"{name}: {seen.get(name, 'not there')}, declared: {wanted.get(name, 'nothing')}"
        for name in dict.fromkeys([*wanted, *seen])
        if wanted.get(name) != seen.get(name)
    ]


def bounds(told: str) -> tuple[float, float]:
    """The seconds between which a time-out lies of which so much is left, as HAProxy writes it: `3h59m`.

    Two units are told, the second only if there is something of it. Raises `CouldNotTell` for anything else.
    """
    parts = re.findall(r"(\d+)([dhms])", told)
    if "".join(number + unit for number, unit in parts) != told or not parts:
        raise CouldNotTell(f"HAProxy: `{told}` is no time", next_step=SESS)
    low = float(sum(int(number) * _UNITS[unit] for number, unit in parts))
    return low, low + _NEXT[parts[0][1]] + SLACK_SECONDS
