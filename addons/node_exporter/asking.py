"""node_exporter asked as Prometheus asks it, from a node: with the right certificate, another, none.

The keys are made for one check, by the lab's own CA, and never lie on a disk of the lab.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.checks.driver import Driver
from lab.inventory.addon_sections import domain
from lab.inventory.models import Inventory
from lab.render.firewall import port_of
from lab.render.host_certificates import clients

PORT = "node_exporter"
STRANGER = "plumbline-stranger"
"""Has a certificate of the lab's CA, and is no client of the lab's."""
SECONDS = 10
PROGRAM = """
import json, os, socket, ssl, sys

def lies_in_memory(text):
    held = os.memfd_create("client")
    os.write(held, text.encode())
    return f"/proc/self/fd/{held}"

def ask(client):
    context = ssl.create_default_context(cadata=asked["authority"])
    if client:
        context.load_cert_chain(lies_in_memory(client))
    try:
        with socket.create_connection((asked["address"], asked["port"]), asked["seconds"]) as plain:
            with context.wrap_socket(plain, server_hostname=asked["name"]) as wire:
                wire.sendall(b"GET /metrics HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n")
                said = b"".join(iter(lambda: wire.recv(65536), b"")).decode(errors="replace")
        head, _, body = said.partition("\\r\\n\\r\\n")
        return {"status": head.partition("\\r\\n")[0], "body": body, "refused": ""}
    except OSError as error:
        return {"status": "", "body": "", "refused": f"{type(error).__name__}: {error}"}

asked = json.load(sys.stdin)
print(json.dumps({name: ask(client) for name, client in asked["clients"].items()}))
"""
KNOWN, NOBODY, OTHER = "the lab's client", "no certificate", "a certificate of another name"


@dataclass(frozen=True)
class Said:
    """What came of asking: the answer's first line and its body, or why there is none."""

    status: str
    body: str
    refused: str

    @property
    def told(self) -> str:
        """For people: the status, or why there is none."""
        return self.status or self.refused


def address_of(inventory: Inventory, host: str) -> str:
    """Where it answers, as people write it."""
    return f"https://{inventory.addresses[host]}:{port_of(inventory, PORT)}/metrics"


def asker(inventory: Inventory, host: str) -> str:
    """The node that asks: another machine than the one that is asked, past whose firewall it must come."""
    return next(name for name in (*inventory.workers, *inventory.masters) if name != host)


def asked(driver: Driver, host: str) -> dict[str, Said]:
    """What a host's node_exporter says to each client.

    Raises `CouldNotTell` when the asking node does not answer.
    """
    inventory, authority = driver.inventory, driver.lab.authority
    holders = {
        KNOWN: authority.issue(tuple(clients(inventory)[:1]), "client"),
        OTHER: authority.issue((f"{STRANGER}.{domain(inventory)}",), "client"),
    }
    request = {
        "address": inventory.addresses[host],
        "port": port_of(inventory, PORT),
        "name": f"{host}.{domain(inventory)}",
        "authority": authority.certificate,
        "clients": {NOBODY: "", **{name: one.key + one.certificate for name, one in holders.items()}},
        "seconds": SECONDS,
    }
    command = f"python3 -c {shlex.quote(PROGRAM)}"
    answer = driver.read(asker(inventory, host), command, stdin=json.dumps(request), seconds=4 * SECONDS)
    return {name: Said(**one) for name, one in json.loads(answer).items()}


def faults(said: Mapping[str, Said]) -> list[str]:
    """What is wrong with the answers: the known client's alone may be one."""
    wrong = []
    if " 200 " not in f"{said[KNOWN].status} ":
        wrong.append(f"{KNOWN}: {said[KNOWN].told}, and should be answered")
    for name in (NOBODY, OTHER):
        # TLS itself refuses; a connection that nobody takes says nothing about who would be let in
        if said[name].status:
            wrong.append(f"{name}: {said[name].status}, and should be refused")
        elif not said[name].refused.startswith(("SSL", "ConnectionReset", "BrokenPipe")):
            wrong.append(f"{name}: {said[name].refused}, and should be refused by TLS")
    return wrong


def values(body: str, metric: str) -> dict[str, float]:
    """The values of a metric by their labels, as the text format has them."""
    found = {}
    for line in body.splitlines():
        name, _, rest = line.partition("{")
        if name == metric:
            labels, _, value = rest.rpartition("} ")
            found[labels] = float(value)
    return found


def ends(body: str) -> dict[str, float]:
    """When each certificate ends, in seconds since 1970, by its path."""
    told = values(body, "plumbline_certificate_not_after_seconds")
    return {labels.removeprefix('file="').removesuffix('"'): value for labels, value in told.items()}


def untold(paths: Sequence[str], body: str) -> dict[str, str]:
    """Certificates of a machine of which node_exporter does not tell when they end, and what it says."""
    told = ends(body)
    return {
        path: "nothing" if path not in told else "is no certificate" for path in paths if not told.get(path)
    }
