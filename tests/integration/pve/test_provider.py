"""Machines on Proxmox VE: made once, changed in place, removed whole."""

from __future__ import annotations

from tests.integration.pve.site import SiteMaker


def test_a_lab_is_made_converges_and_is_removed(site: SiteMaker) -> None:
    lab = site()
    assert lab.provider.preflight([lab.machine(name) for name in lab.inventory.hosts]) == []
    assert lab.build()
    lab.assert_converged()
    writes = len(lab.double.world.journal.writes())
    assert not lab.build()
    assert len(lab.double.world.journal.writes()) == writes
    assert lab.provider.clean()
    assert not lab.provider.leftovers()
    assert not lab.own()
    assert not lab.provider.clean()
    lab.assert_sound()
