"""Layer services: whether the addresses of the pools are nobody else's, asked of everybody on the LAN."""

from __future__ import annotations

import pytest

from addons.metallb.client import pooled, used
from lab.checks.arp_sweep import misplaced, sweep
from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.verbs import becomes

MOVING_SECONDS = 15
"""An address that moves, or that its service gives back, is answered for a moment longer."""


def machines(driver: Driver) -> dict[str, str]:
    """Names of the lab's machines by the MAC address of their card."""
    links = {
        name: driver.facts.get(name).link_of(str(host.address))
        for name, host in driver.inventory.hosts.items()
    }
    return {str(link.mac): name for name, link in links.items() if link}


@pytest.mark.check("P3-03")
def test_addresses_of_the_pools_are_nobody_elses(driver: Driver, measure: Measure) -> None:
    """Nobody answers ARP for an address that no service has, and one node for each that a service has."""
    asked, known = pooled(driver.inventory), machines(driver)
    measure("addresses asked for", len(asked), "addresses")

    def wrong() -> dict[str, str]:
        # other checks make and remove services meanwhile
        before = used(driver.cluster.items("/api/v1/services"))
        found = sweep(driver.lan_interface, set(asked))
        held = before | used(driver.cluster.items("/api/v1/services"))
        return misplaced(found, held, known)

    becomes(
        "addresses of pools that somebody else has",
        wrong,
        lambda seen: not seen,
        within=MOVING_SECONDS,
        expected="none",
        command=f"arping -I {driver.lan_interface.interface} ADDRESS; kubectl get services -A",
    )
