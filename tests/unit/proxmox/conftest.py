"""Repetitions and tasks of Proxmox VE that take no time."""

from __future__ import annotations

import pytest

from lab.providers.proxmox import retry as proxmox_retry
from lab.providers.proxmox import tasks as proxmox_tasks
from tests.fakes import FakeClock


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(proxmox_retry, "time", made)
    monkeypatch.setattr(proxmox_tasks, "time", made)
    return made
