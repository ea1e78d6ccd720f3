"""Fixtures of the acceptance suite that are made in the cluster; add-ons' own checks use them as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest

from lab.checks.driver import Driver
from lab.checks.ingress import IngressClient, ingress_client
from lab.checks.items import Measure
from lab.checks.objects import daemonset
from lab.checks.outcomes import CouldNotTell, NotPartOfLab
from lab.checks.sample_app import sample
from lab.checks.workspace import Workspace, workspace
from lab.faults.fault_run import FaultRun
from lab.objects import Object
from lab.verify.stash import CONTEXT


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
def ingress(driver: Driver) -> IngressClient:
    """The lab's ingress."""
    return ingress_client(driver)


ANNOUNCER_SECONDS = 600
"""Longer than all tests of a layer that hold it."""


@contextmanager
def addresses_stay(config: pytest.Config) -> Iterator[None]:
    """Nobody else of the layer's processes moves an address, nor needs it where it is, while the block runs.

    Raises `CouldNotTell` after `ANNOUNCER_SECONDS`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(config.stash[CONTEXT].folder / "announcer.lock", timeout=ANNOUNCER_SECONDS)
    try:
        with lock:
            yield
    except Timeout:
        waited = f"{ANNOUNCER_SECONDS} s for a test that moves addresses, or needs them where they are"
        raise CouldNotTell(f"the addresses: waited {waited}", next_step="invoke verify again") from None


@pytest.fixture
def announcer(request: pytest.FixtureRequest) -> Iterator[None]:
    """Held by whoever moves addresses to other nodes, and by whoever lets no request fail: the layer's
    processes run both, and a connection does not outlive the move of its address (MetalLB, layer 2)."""
    with addresses_stay(request.config):
        yield


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
def fault_run(
    driver: Driver,
    measure: Measure,
    request: pytest.FixtureRequest,
    numbers: Iterator[int],
    removals: ExitStack,
) -> Iterator[FaultRun]:
    """Damage under traffic: registers of the API in a namespace of their own."""
    with workspace(driver, f"fire-{next(numbers)}", removals=removals) as space:
        yield FaultRun(driver, space, measure, request.node)


@pytest.fixture
def fault_run_web(fault_run: FaultRun) -> FaultRun:
    """The same with a load-balanced service before a sample application on two workers."""
    fault_run.address = sample(fault_run.space, 2)
    return fault_run
