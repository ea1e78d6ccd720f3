"""Layer node: each machine tells of itself, to Prometheus alone."""

from __future__ import annotations

import pytest

from addons.node_exporter.asking import KNOWN, address_of, asked, faults, untold, values
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.verbs import becomes, holds, nothing

TIMER_SECONDS = 150
"""Until the timer has looked at certificates again: two minutes, and what systemd may be late."""


@pytest.mark.check("P1-30")
@pytest.mark.each("all")
def test_node_exporter_answers_its_client_alone(driver: Driver, host: str) -> None:
    """From another node: who has the lab's certificate for Prometheus is answered, and nobody else by TLS."""
    becomes(
        f"answers of {address_of(driver.inventory, host)}",
        lambda: faults(asked(driver, host)),
        lambda found: not found,
        within=20,
        expected="an answer for the lab's client alone",
        command="systemctl status node-exporter; cat /etc/node-exporter/web.yml",
        host=host,
    )


@pytest.mark.check("P1-31")
@pytest.mark.each("all")
def test_it_tells_of_this_machine_and_of_its_units(driver: Driver, host: str) -> None:
    """The figures are of the machine with this name, and the units of its roles are told to run."""
    body = asked(driver, host)[KNOWN].body
    names = [labels for labels in values(body, "node_uname_info") if f'nodename="{host}"' in labels]
    holds(
        "node_uname_info",
        bool(names),
        expected=f'nodename="{host}"',
        seen=body[:200],
        command="hostname",
        host=host,
    )
    states = values(body, "node_systemd_unit_state")
    running = {labels for labels, value in states.items() if value and 'state="active"' in labels}
    dead = [
        unit.name
        for unit in driver.bundles[host].units
        if not any(f'name="{unit.name}"' in labels for labels in running)
    ]
    nothing(
        "units that it does not tell to run", dead, rule="none", command="systemctl list-units", host=host
    )


@pytest.mark.check("P1-32")
@pytest.mark.each("all")
def test_it_tells_when_every_certificate_ends(driver: Driver, facts: Facts, host: str) -> None:
    """Of kubeadm's, the kubelet's and its own certificates the end is told, as it stands in them."""
    own = [item.certificate for item in driver.bundles[host].certificates]
    kubernetes = list(facts.certificates) if host in driver.inventory.nodes else []
    becomes(
        "certificates whose end is not told",
        lambda: untold([*kubernetes, *own], asked(driver, host)[KNOWN].body),
        lambda found: not found,
        within=TIMER_SECONDS,
        expected="none",
        command="systemctl status certificate-metrics; cat /var/lib/node-exporter/certificates.prom",
        host=host,
    )
