"""Layer render: what Proxmox VE's API is told of each of its machines."""

from __future__ import annotations

import pytest

from lab.checks.driver import Driver
from lab.checks.outcomes import NotPartOfLab
from lab.checks.verbs import agrees, holds
from lab.providers.proxmox.config import fields, hosts_of
from lab.render.outputs import host_outputs
from lab.ssh import Keys


@pytest.mark.check("L0-03")
@pytest.mark.each("all")
def test_proxmox_is_told_what_its_own_user_data_needs(driver: Driver, host: str) -> None:
    """The fields of Proxmox VE's API hold name, login and address, and name the vendor data beside them."""
    inventory, keys = driver.inventory, Keys(driver.inventory.lab)
    if host not in hosts_of(inventory):
        provider = inventory.provided_by(host).value
        raise NotPartOfLab(f"hosts.{host}.provider", f"{provider} takes a whole seed")
    told = fields(inventory, host, keys)
    address = f"ip={inventory.interface(host)},gw={inventory.network.gateway}"
    wanted = {"name": host, "ciuser": inventory.ssh.user, "ipconfig0": address}
    agrees("fields", {key: told.get(key) for key in wanted}, wanted, command="invoke render")
    named = told["cicustom"]
    holds("cicustom", named.startswith("vendor="), expected="vendor data beside its own", seen=named)
    rendered = dict(host_outputs(inventory, driver.traits[host], driver.pins, keys, host))
    document = f"{host}/cloud-init/vendor-data"
    holds("vendor data", document in rendered, expected="rendered", seen=sorted(rendered))
