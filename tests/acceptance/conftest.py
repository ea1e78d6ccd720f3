"""Fixtures of the acceptance suite that are made in the cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.verify.driver import Driver
from lab.verify.objects import daemonset
from lab.verify.workspace import Object, Workspace, workspace


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
    found = {pod["spec"]["nodeName"]: pod for pod in everywhere.pods("probe")}
    return {name: found[name] for name in driver.inventory.nodes}
