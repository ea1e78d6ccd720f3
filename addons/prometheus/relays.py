"""Metrics of machines, asked from a node as Prometheus does: kubeadm's, which are on loopback, HAProxy's."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from lab.checks.driver import Driver
from lab.hosts.facts import Listener
from lab.inventory.models import Inventory
from lab.render.bundle import Bundle
from lab.render.firewall import Port, port_of, relayed

SECURE = ("the relay to the controller manager", "the relay to the scheduler")
"""These two want a token, and say so over TLS: the certificate is made in memory at each start."""
OPEN = ("the relay to kube-proxy's metrics", "the relay to etcd's metrics", "HAProxy's metrics")
SECONDS = 10
RELAYS = ("systemd", "systemd-socket-")
"""Who holds the relays' sockets, as the kernel names them: systemd, and its proxy while somebody asks."""
PROGRAM = """
import json, ssl, sys, urllib.error, urllib.request

def ask(url):
    # nothing is read that would need to be believed
    unverified = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), unverified)
    try:
        with opener.open(url, timeout=asked["seconds"]) as answer:
            told = "metrics" if b"# HELP" in answer.read() else "no metrics"
            return f"{answer.status} {told}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.reason}"
    except OSError as error:
        return f"{type(error).__name__}: {error}"

asked = json.load(sys.stdin)
print(json.dumps({url: ask(url) for url in asked["urls"]}))
"""


def expected(inventory: Inventory, bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """How the answer at each address of a machine may begin: metrics, or the word that a token is missing."""
    here = {port.port for port in bundle.listen if port.only_at}
    address = inventory.addresses[bundle.host]
    found: dict[str, tuple[str, ...]] = {}
    for scheme, names, begins in (("http", OPEN, ("200 metrics",)), ("https", SECURE, ("401", "403"))):
        for number in (port_of(inventory, name) for name in names):
            if number in here:
                found[f"{scheme}://{address}:{number}/metrics"] = begins
    return found


def silent(driver: Driver, host: str, asker: str) -> dict[str, str]:
    """Addresses of a host that do not answer a node as they should, and what they say."""
    wanted = expected(driver.inventory, driver.bundles[host])
    request = json.dumps({"urls": list(wanted), "seconds": SECONDS})
    seconds = (1 + len(wanted)) * SECONDS
    said = json.loads(
        driver.read(asker, f"python3 -c {shlex.quote(PROGRAM)}", stdin=request, seconds=seconds)
    )
    return {url: said[url] for url, begins in wanted.items() if not said[url].startswith(begins)}


def beyond(inventory: Inventory, host: str, sockets: Iterable[Listener]) -> list[str]:
    """Sockets of a relayed port that are neither loopback's nor the relay's on the address in the LAN."""
    ports, own = relayed(inventory, host), inventory.addresses[host]
    wrong = []
    for item in sockets:
        if item.port not in ports or item.protocol != "tcp":
            continue
        is_relay = item.process in RELAYS
        if not Port(item.port, "tcp", only_at=own if is_relay else "").takes(item.address):
            wrong.append(f"{item.address}:{item.port} ({item.process})")
    return wrong
