"""The double of Proxmox VE for the tests of this folder."""

from __future__ import annotations

from tests.doubles.pve.fixture import pve, pve9

__all__ = ["pve", "pve9"]
