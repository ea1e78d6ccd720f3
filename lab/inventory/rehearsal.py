"""A topology on other machines than its own: `--provider lxc` builds production on this one.

Everything that only its own provider can give is replaced, and each replacement is noted. The rehearsed lab
has a name of its own, so it shares no folder, key or kubeconfig with the lab it stands in for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.errors import InputError
from lab.inventory.models import Arch, Inventory, ProviderName
from lab.inventory.proxmox import Proxmox
from lab.inventory.sections import HostPower, Model

STAND_INS = (ProviderName.LXC, ProviderName.VAGRANT)
"""Providers that make any machine on this one; the others need machines or a hypervisor of their own."""

_OWN: Mapping[str, Any] = {"hypervisor": None, "vmid": None, "host_key": None, "power": HostPower()}
"""What only a machine of its own provider has."""
_REPLACED: Mapping[ProviderName, Mapping[str, Any]] = {
    ProviderName.LXC: {
        "provider": None,
        "arch": Arch.AMD64,
        "hardware": "vm",
        "os": "debian-12",
        **_OWN,
    },
    ProviderName.VAGRANT: {
        "provider": None,
        "arch": Arch.AMD64,
        "hardware": "vm",
        **_OWN,
    },
}


def rehearse(inventory: Inventory, provider: str) -> tuple[Inventory, tuple[str, ...]]:
    """The same topology made by `provider`, and one line for each value that was replaced.

    An inventory that is all `provider`'s already comes back as it is. Raises `InputError` for a name that is
    no provider, or one that cannot stand in for others.
    """
    names = [name.value for name in ProviderName]
    if provider not in names:
        raise InputError(f"--provider: {provider}: must be one of {', '.join(names)}; correct the name")
    stand_in = ProviderName(provider)
    own = {inventory.provider, *(host.provider or inventory.provider for host in inventory.hosts.values())}
    if own == {stand_in}:
        return inventory, ()
    if stand_in not in STAND_INS:
        possible = " or ".join(STAND_INS)
        rule = f"cannot stand in for {', '.join(sorted(own))}: its machines are not made here"
        raise InputError(
            f"--provider: {provider}: {rule}; use {possible}, or change the inventory's provider"
        )
    name = f"{inventory.lab[: 62 - len(provider)]}-{provider}"
    replaced: dict[str, Any] = {"lab": name, "provider": stand_in, "disposable": True}
    replaced |= {"hypervisors": {}, "proxmox": None}
    lines: dict[str, list[str]] = {}
    _note(lines, "", inventory, replaced)
    if inventory.network.vlan is not None:
        replaced["network"] = inventory.network.model_copy(update={"vlan": None})
        _note(lines, "network.", inventory.network, {"vlan": None})
    hosts = {}
    for host_name, host in inventory.hosts.items():
        hosts[host_name] = host.model_copy(update=dict(_REPLACED[stand_in]))
        _note(lines, "", host, _REPLACED[stand_in], of=host_name)
    notes = (f"{change} ({', '.join(who)})" if who else change for change, who in lines.items())
    model = type(inventory)
    kept = {key: getattr(inventory, key) for key in model.model_fields}
    return model.model_validate(kept | replaced | {"hosts": hosts}), tuple(notes)


def _note(
    lines: dict[str, list[str]], prefix: str, before: Model, after: Mapping[str, Any], *, of: str = ""
) -> None:
    """Add each change to `lines`, with the hosts that share it."""
    for key, value in after.items():
        if getattr(before, key) != value:
            change = f"{prefix}{key}: {_text(getattr(before, key))} -> {_text(value)}"
            lines.setdefault(change, []).extend([of] if of else [])


def _text(value: Any) -> str:
    if isinstance(value, Proxmox):
        return str(value.host)
    if isinstance(value, Mapping):
        return ", ".join(value) or "none"
    return {None: "none", True: "true", False: "false"}.get(value, str(value))
