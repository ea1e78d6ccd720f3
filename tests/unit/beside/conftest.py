"""A little lab, and what each of its hosts must be."""

from __future__ import annotations

from functools import cache

import pytest

from lab.inventory.models import Inventory
from lab.render.bundle import Bundle, bundle, pins
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.world import inventory


@pytest.fixture
def lab() -> Inventory:
    return inventory()


@cache
def _bundle(name: str, *, container: bool) -> Bundle:
    lab = inventory()
    return bundle(lab, CONTAINERS if container else FULL_MACHINES, pins(lab), name)


@pytest.fixture
def master() -> Bundle:
    return _bundle("master-1", container=True)


@pytest.fixture
def worker() -> Bundle:
    return _bundle("worker-1", container=True)


@pytest.fixture
def balancer() -> Bundle:
    return _bundle("haproxy", container=True)


@pytest.fixture
def full() -> Bundle:
    """A worker that is a full machine."""
    return _bundle("worker-1", container=False)
