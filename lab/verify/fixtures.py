"""Fixtures of the acceptance suite that are made in the cluster; add-ons' own checks use them as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from lab.checks.driver import Driver
from lab.checks.ingress import Ingress, ingress
from lab.checks.items import Measure
from lab.checks.objects import daemonset
from lab.checks.outcomes import NotPartOfLab
from lab.checks.sample_app import sample
from lab.checks.workspace import Object, Workspace, workspace
from lab.faults.fault_run import Fire


@pytest.fixture(scope="session")
def everywhere(driver: Driver) -> Iterator[Workspace]:
    """A namespace with an echo server on every node, app `probe`."""
    with workspace(driver, "probe") as space:
        space.create("daemonsets", daemonset("probe", space.probe_image))
        space.await_pods("probe", len(driver.inventory.nodes))
        yield space


@pytest.fixture
def probes(everywhere: Workspace, driver: Driver) -> dict[str, Object]:
    """The probe pods by node, in the inventory's order."""
    found = everywhere.by_node("probe")
    return {name: found[name] for name in driver.inventory.nodes}


@pytest.fixture(scope="session")
def front(driver: Driver) -> Ingress:
    """The lab's ingress."""
    return ingress(driver)


@pytest.fixture(autouse=True)
def _wanted(driver: Driver, request: pytest.FixtureRequest) -> None:
    """Before anything is made for it: a damage that is left to `verify.ha: full` is skipped otherwise."""
    if request.node.get_closest_marker("full") and driver.inventory.verify.ha != "full":
        raise NotPartOfLab("verify.ha", "short: one fault of each family is enough for this lab")


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Of the namespaces in which faults are survived."""
    return count(1)


@pytest.fixture(scope="session")
def removals() -> Iterator[ExitStack]:
    """Removals that nothing depends on: they are waited for at the end of the layer."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def fire(
    driver: Driver,
    measure: Measure,
    request: pytest.FixtureRequest,
    numbers: Iterator[int],
    removals: ExitStack,
) -> Iterator[Fire]:
    """Damage under traffic: registers of the API in a namespace of their own."""
    with workspace(driver, f"fire-{next(numbers)}", removals=removals) as space:
        yield Fire(driver, space, measure, request.node)


@pytest.fixture
def fire_web(fire: Fire) -> Fire:
    """The same with a load-balanced service before a sample application on two workers."""
    fire.address = sample(fire.space, 2)
    return fire
