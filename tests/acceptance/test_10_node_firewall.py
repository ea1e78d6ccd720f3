"""Layer node: each machine's firewall, as the kernel holds it and as a client meets it."""

from __future__ import annotations

import re
import socket
from concurrent.futures import Future
from functools import partial

import pytest

from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import knock, tcp
from lab.checks.packet_filter import in_force
from lab.checks.verbs import holds, nothing, succeeds
from lab.render import firewall

OTHERS = "nft -s list ruleset; iptables-legacy-save 2>/dev/null | sed 's/\\[[0-9:]*\\]//; /^#/d'"
RELOAD = "systemctl reload nftables"
SSH_SECONDS = 60
"""For a word of sshd: a process of its own for each connection, which a busy machine starts late."""


@pytest.mark.check("L1-20")
@pytest.mark.each("all")
def test_the_firewall_in_force_is_the_rendered_one(driver: Driver, host: str) -> None:
    """The kernel holds exactly the rules of the rendered file: dropped unless opened."""
    in_force(driver, host)


@pytest.fixture(scope="session")
def ports_for_others(driver: Driver) -> dict[str, Future[dict[int, str]]]:
    """What comes of connecting to the ports that are not for operators, by address."""
    wanted = {
        str(host.address): [
            p.port for p in driver.bundles[name].listen if p.protocol == "tcp" and not is_ours(p)
        ]
        for name, host in driver.inventory.hosts.items()
    }
    return knock(wanted, seconds=0.5)


def is_ours(port: firewall.Port) -> bool:
    """Whether a port is open to who runs the checks."""
    return "operators" in port.sources


@pytest.mark.check("L1-20")
@pytest.mark.each("all")
def test_the_firewall_lets_in_whom_the_roles_name(
    driver: Driver, ports_for_others: dict[str, Future[dict[int, str]]], host: str
) -> None:
    """Seen from the LAN: ports for operators answer, ports for others stay silent."""
    address = str(driver.inventory.hosts[host].address)
    listening = [item for item in driver.bundles[host].listen if item.protocol == "tcp"]
    command = f"nc -vz {address} PORT"
    for port in (item.port for item in listening if is_ours(item)):
        succeeds(
            f"connecting to {address}:{port}",
            partial(tcp, address, port),
            within=5,
            command=command,
            host=host,
        )
    seen = ports_for_others[address].result()
    heard = {port: answer for port, answer in seen.items() if "no answer in time" not in answer}
    nothing(f"ports of {address} that are not silent", heard, rule="none", command=command)


def others(driver: Driver, host: str) -> list[str]:
    """Every rule of the machine that is not ours, without counters."""
    text = driver.read(host, OTHERS)
    name = re.escape(firewall.TABLE)
    return re.sub(rf"^table {name} \{{.*?^\}}", "", text, flags=re.DOTALL | re.MULTILINE).split("\n")


@pytest.mark.check("L1-21")
@pytest.mark.each("all")
def test_a_reload_of_the_firewall_leaves_everything_else(driver: Driver, host: str) -> None:
    """A reload changes no rule of kube-proxy or Flannel, and a connection that was open goes on."""
    address = str(driver.inventory.hosts[host].address)
    try:
        held = socket.create_connection((address, firewall.SSH_PORT), SSH_SECONDS)
    except OSError as error:
        raise CouldNotTell(f"{host}: {address}:{firewall.SSH_PORT}: {error}") from error
    with held:
        held.recv(256)
        before = others(driver, host)
        driver.read(host, RELOAD)
        after = others(driver, host)
        held.sendall(b"SSH-2.0-Plumbline\r\n")
        holds("the open connection", len(held.recv(4096)) > 0, expected="an answer", seen="closed", host=host)
    # kube-proxy writes its rules when services change, which no test of this layer does
    changed = sorted(set(before) ^ set(after))
    nothing("rules of others that the reload changed", changed, rule="none", command=RELOAD, host=host)
