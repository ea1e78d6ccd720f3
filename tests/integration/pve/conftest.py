"""A double of Proxmox VE and labs on it. Everything is on 127.0.0.1; machines exist on paper."""

from __future__ import annotations

import pytest

from tests.doubles.pve.fixture import Double, pve, pve9
from tests.integration.pve.site import SiteMaker, opened

__all__ = ["pve", "pve9"]


@pytest.fixture
def site(pve: Double, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> SiteMaker:
    """Makes a lab on Proxmox VE 8."""
    return opened(pve, tmp_path_factory, monkeypatch)
