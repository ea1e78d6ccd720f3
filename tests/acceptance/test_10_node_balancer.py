"""Layer node: HAProxy's machine, in testinfra's words."""

from __future__ import annotations

import pytest

from lab.checks.balancer import SOCKET, STAT, lead_to_the_masters, servers
from lab.checks.driver import Driver
from lab.checks.verbs import agrees, becomes, holds

CONFIG = "/etc/haproxy/haproxy.cfg"


@pytest.mark.check("L1-27")
@pytest.mark.each("balancer")
def test_haproxy_runs_and_listens(driver: Driver, host: str) -> None:
    """HAProxy is enabled, runs, and listens on the endpoint's address and port."""
    machine = driver.host(host)
    service = machine.service("haproxy")
    agrees(
        "haproxy.service: running", service.is_running, True, command="systemctl status haproxy", host=host
    )
    agrees(
        "haproxy.service: enabled",
        service.is_enabled,
        True,
        command="systemctl is-enabled haproxy",
        host=host,
    )
    endpoint = driver.inventory.endpoint
    listening = machine.socket(f"tcp://{endpoint}").is_listening
    agrees(f"{endpoint} listens", listening, True, command="ss -lnt", host=host)


@pytest.mark.check("L1-27")
@pytest.mark.each("balancer")
def test_only_root_may_change_the_balancer(driver: Driver, host: str) -> None:
    """Only root may write the configuration, and others may not use the admin socket."""
    machine = driver.host(host)
    config = machine.file(CONFIG)
    agrees(
        f"owner of {CONFIG}",
        f"{config.user}:{config.group}",
        "root:root",
        command=f"ls -l {CONFIG}",
        host=host,
    )
    holds(
        f"mode of {CONFIG}",
        not config.mode & 0o022,
        expected="no write for group and others",
        seen=oct(config.mode),
        host=host,
    )
    socket = machine.file(SOCKET)
    agrees(f"{SOCKET} is a socket", socket.is_socket, True, command=f"ls -l {SOCKET}", host=host)
    holds(
        f"mode of {SOCKET}",
        not socket.mode & 0o007,
        expected="nothing for others",
        seen=oct(socket.mode),
        host=host,
    )


def server_states(driver: Driver) -> dict[str, str]:
    """Status and last check of the API servers, by name."""
    found = servers(driver)
    return {name: f"{row['status']} ({row['check_status']} {row['last_chk']})" for name, row in found.items()}


@pytest.mark.check("L1-27")
@pytest.mark.each("balancer")
def test_every_api_server_is_up_for_the_balancer(driver: Driver, host: str) -> None:
    """HAProxy has exactly the masters as servers, and all of them are UP."""
    states = becomes(
        "servers of HAProxy",
        lambda: server_states(driver),
        lambda states: bool(states) and all(text.startswith("UP") for text in states.values()),
        within=10,
        expected="all UP",
        command=STAT,
        host=host,
    )
    agrees("servers of HAProxy", sorted(states), sorted(driver.inventory.masters), command=STAT, host=host)


@pytest.mark.check("L1-27")
def test_the_servers_of_haproxy_have_the_addresses_of_the_masters(driver: Driver) -> None:
    """The HAProxy that runs, not its file alone, leads each server to that master's address and port."""
    lead_to_the_masters(driver)
