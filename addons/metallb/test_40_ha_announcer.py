"""Layer ha: an address while the program that announces it stands still."""

from __future__ import annotations

import time

import pytest

from lab.checks.verbs import becomes
from lab.faults.fault_run import FaultRun

MOVE_SECONDS = 120.0
"""Row L4-09, MetalLB's own e2e."""


@pytest.mark.full
@pytest.mark.check("L4-09")
def test_an_address_leaves_a_node_without_speaker(fault_run_web: FaultRun) -> None:
    """The announcer's speaker stands still, its machine does not: the address moves, and one node has it."""
    victim = becomes("announcer", fault_run_web.announcer, bool, within=15, expected="one node")
    # no taint takes a speaker from its node: it tolerates all, so that no other one cuts a node off
    with fault_run_web.under("stop-speaker", victim, seconds=MOVE_SECONDS, steady=1) as (live, _):
        becomes(
            "announcer",
            fault_run_web.announcer,
            lambda name: bool(name) and name != victim,
            within=MOVE_SECONDS,
            expected=f"another than {victim}",
            command=f"kubectl -n metallb-system get pods -o wide --field-selector spec.nodeName={victim}",
        )
        moved = time.monotonic() - live.began
    fault_run_web.measure("speaker stopped to address moved", moved, "s", MOVE_SECONDS)
    becomes(
        "announcer",
        fault_run_web.announcer,
        bool,
        within=MOVE_SECONDS,
        expected="one node, after its speaker goes on",
    )
