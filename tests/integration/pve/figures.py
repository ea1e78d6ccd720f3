"""Figures of the provider against the double; run by hand: python -m tests.integration.pve.figures.

Prints one JSON object a line: wall time, ideal schedule, requests, most in flight, polls a second.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.doubles.pve.fixture import running
from tests.integration.pve.site import Site, inventory


def measure(workers: int, task_seconds: float, node_count: int) -> dict[str, float]:
    """Build a lab of 4 + `workers` machines from nothing but its templates; clones take one task each."""
    nodes = tuple(f"pve-{number + 1}" for number in range(node_count))
    with (
        tempfile.TemporaryDirectory() as folder,
        contextmanager(running)(Path(folder), nodes=nodes, task_seconds=task_seconds) as double,
        patch.dict(os.environ, PLUMBLINE_DATA=folder, PLUMBLINE_PROXMOX_SECRET=double.secret),
    ):
        lab = Site(double, inventory(double, workers))
        lab.provider.prepare()
        journal = double.world.journal
        before, begun = len(journal.requests), time.monotonic()
        lab.build()
        wall = time.monotonic() - begun
        asked = journal.requests[before:]
        lab.assert_converged()
    polls = [item for item in asked if item.path.endswith("/status") and "/tasks/" in item.path]
    per_template = -(-len(lab.inventory.hosts) // node_count)
    # clones of one template one after the other; the last machine then grows its disk and starts
    ideal = (per_template + 2) * task_seconds
    return {
        "machines": len(lab.inventory.hosts),
        "nodes": node_count,
        "task_seconds": task_seconds,
        "wall_seconds": round(wall, 2),
        "ideal_seconds": round(ideal, 2),
        "ratio": round(wall / ideal, 2),
        "requests": len(asked),
        "requests_per_machine": round(len(asked) / len(lab.inventory.hosts), 1),
        "most_in_flight": journal.most_in_flight,
        "polls_per_second": round(len(polls) / wall, 1),
    }


if __name__ == "__main__":
    for workers, seconds, count in ((12, 1.0, 1), (46, 0.2, 4), (96, 0.2, 4), (196, 0.2, 4)):
        print(json.dumps(measure(workers, seconds, count)), flush=True)
