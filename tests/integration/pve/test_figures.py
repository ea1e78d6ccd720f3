"""How fast machines are made, and how gently: the figures that the provider is held to."""

from __future__ import annotations

import pytest

from lab.providers.proxmox.api import IN_FLIGHT
from lab.providers.proxmox.tasks import POLLS_PER_SECOND
from tests.integration.pve.figures import measure

pytestmark = pytest.mark.long


def test_sixteen_machines_are_made_nearly_as_fast_as_their_tasks_allow() -> None:
    found = measure(workers=12, task_seconds=1.0, node_count=1)
    assert found["machines"] == 16
    assert found["ratio"] <= 1.3, found


def test_two_hundred_machines_take_four_times_what_fifty_take_and_no_more_of_the_api() -> None:
    few, many = (measure(workers, task_seconds=0.2, node_count=4) for workers in (46, 196))
    assert (few["machines"], many["machines"]) == (50, 200)
    assert many["wall_seconds"] <= 1.5 * 4 * few["wall_seconds"], (few, many)
    assert many["requests_per_machine"] <= 1.2 * few["requests_per_machine"], (few, many)
    for found in (few, many):
        assert found["most_in_flight"] <= IN_FLIGHT
        assert found["polls_per_second"] <= POLLS_PER_SECOND
