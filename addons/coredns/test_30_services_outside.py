"""Layer services: names of the outside as pods get them, on every node."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
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
)
from lab.checks.driver import Driver
from lab.checks.verbs import becomes
from lab.checks.workspace import Workspace
from lab.objects import Object

SECONDS = 40
"""CoreDNS remembers for 30 s that there was no answer (plugin cache)."""


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
    _finds_nothing(everywhere, probes[host], partial(_swallowed, everywhere, probes[host], names), host)


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
    _finds_nothing(everywhere, pod, partial(_unanswered, everywhere, pod, names), host)


def _swallowed(space: Workspace, pod: Object, names: list[str]) -> list[str]:
    return swallowed(asked(space, pod, names))


def _unanswered(space: Workspace, pod: Object, names: list[str]) -> list[str]:
    return unanswered(asked(space, pod, names)) if names else []


def _finds_nothing(space: Workspace, pod: Object, look: partial[list[str]], host: str) -> None:
    name = pod["metadata"]["name"]
    becomes(
        f"names as a pod on {host} gets them",
        look,
        lambda found: not found,
        within=SECONDS,
        expected="those of the outside, and no others",
        command=f"kubectl -n {space.name} exec {name} -- /probe dns NAME",
        host=host,
    )
