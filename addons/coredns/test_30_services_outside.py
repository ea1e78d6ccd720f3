"""Layer services: names of the outside as pods get them, on every node."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import pytest

from addons.coredns.name_server import serving
from addons.coredns.outside import (
    asked,
    below,
    known_outside,
    names_outside,
    searched,
    swallowed,
    unanswered,
    undecided,
)
from lab.checks.driver import Driver
from lab.checks.verbs import becomes, nothing
from lab.checks.workspace import Workspace
from lab.objects import Object

SECONDS = 12
"""CoreDNS remembers for 5 s that a name server did not answer (plugin cache, servfail)."""


@pytest.fixture(scope="module")
def outside(driver: Driver) -> Iterator[list[str]]:
    """Names of the outside; where the lab's name server is our own place in its network, it is served."""
    names = names_outside(driver.inventory, driver.pins.images)
    own = driver.lan_interface.address
    if own not in driver.inventory.nameservers:
        yield names
        return
    with serving(own, names):
        yield names


@pytest.mark.check("P3-30")
@pytest.mark.each("nodes")
def test_no_domain_that_pods_search_swallows_names(
    everywhere: Workspace, probes: dict[str, Object], outside: list[str], driver: Driver, host: str
) -> None:
    """Below each domain that a pod on the node searches, no random name and no name of the outside exists."""
    names = below(searched(driver.inventory, everywhere.name), [f"nobody-{token_hex(4)}", *outside])
    command = _command(everywhere, probes[host])

    def look() -> list[str]:
        results = asked(everywhere, probes[host], names)
        subject = f"names that nobody gave, as a pod on {host} gets them"
        nothing(subject, swallowed(results), rule="none", command=command, host=host)
        return undecided(results)

    subject = f"names of which a pod on {host} hears neither yes nor no"
    becomes(
        subject, look, lambda found: not found, within=SECONDS, expected="none", command=command, host=host
    )


@pytest.mark.check("P3-30")
@pytest.mark.each("nodes")
def test_names_of_the_outside_resolve_in_pods(
    everywhere: Workspace, probes: dict[str, Object], outside: list[str], driver: Driver, host: str
) -> None:
    """What the lab's name servers know of the outside, a pod on the node gets by the DNS of the cluster."""
    pod = probes[host]
    known = known_outside(driver, everywhere, pod, outside)
    # with a dot at the end, and as programs write it: by way of the domains that are searched
    names = [*(f"{name}." for name in known), *known]
    becomes(
        f"names of the outside without an answer for a pod on {host}",
        lambda: unanswered(asked(everywhere, pod, names)) if names else [],
        lambda found: not found,
        within=SECONDS,
        expected="none",
        command=_command(everywhere, pod),
        host=host,
    )


def _command(space: Workspace, pod: Object) -> str:
    return f"kubectl -n {space.name} exec {pod['metadata']['name']} -- /probe dns NAME"
