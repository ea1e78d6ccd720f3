"""A topology on other machines than its own: `--provider lxc` builds production on this one.

Everything that only its own provider can give is replaced, and each replacement is noted. The rehearsed lab
has a name of its own, so it shares no folder, key or kubeconfig with the lab it stands in for.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from lab.errors import InputError
from lab.inventory.models import Host, Inventory
from lab.inventory.providers import NeededSection, ProviderName, names, rules_of
from lab.inventory.sections import Model


def stand_ins() -> tuple[str, ...]:
    """Providers that make any machine on this one; the others need machines or a hypervisor of their own."""
    return tuple(name for name in names() if rules_of(name).stands_in)


def _replaced(provider: str) -> dict[str, Any]:
    """What a host gets instead of what only its own provider, or its own hardware, could give it."""
    rules = rules_of(provider)
    taken = {key: Host.model_fields[key].annotation for key in rules.takes}
    return {
        "provider": None,
        **{key: _typed(taken[key], values[0]) for key, values in rules.takes.items()},
        **{key: Host.model_fields[key].get_default(call_default_factory=True) for key in rules.refuses},
    }


def _section(provider: str) -> NeededSection | None:
    return rules_of(provider).section


def _typed(kind: Any, text: str) -> Any:
    """The text as the field has it: a member of its enumeration, if it has one."""
    return kind(text) if isinstance(kind, type) and issubclass(kind, StrEnum) else text


def rehearse(inventory: Inventory, provider: str) -> tuple[Inventory, tuple[str, ...]]:
    """The same topology made by `provider`, and one line for each value that was replaced.

    An inventory that is all `provider`'s already comes back as it is. Raises `InputError` for a name that is
    no provider, or one that cannot stand in for others.
    """
    if provider not in names():
        raise InputError(f"--provider: {provider}: must be one of {', '.join(names())}; correct the name")
    stand_in = ProviderName(provider)
    own = {inventory.provider, *(host.provider or inventory.provider for host in inventory.hosts.values())}
    if own == {stand_in}:
        return inventory, ()
    if stand_in not in stand_ins():
        possible = " or ".join(stand_ins())
        rule = f"cannot stand in for {', '.join(sorted(own))}: its machines are not made here"
        raise InputError(
            f"--provider: {provider}: {rule}; use {possible}, or change the inventory's provider"
        )
    name = f"{inventory.lab[: 62 - len(provider)]}-{provider}"
    replaced: dict[str, Any] = {"lab": name, "provider": stand_in, "disposable": True}
    replaced |= {"hypervisors": {}, **{section.key: None for section in map(_section, names()) if section}}
    lines: dict[str, list[str]] = {}
    _note(lines, "", inventory, replaced)
    if inventory.network.vlan is not None:
        replaced["network"] = inventory.network.model_copy(update={"vlan": None})
        _note(lines, "network.", inventory.network, {"vlan": None})
    hosts, instead = {}, _replaced(provider)
    for host_name, host in inventory.hosts.items():
        hosts[host_name] = host.model_copy(update=instead)
        _note(lines, "", host, instead, of=host_name)
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
    if isinstance(value, Mapping):
        return ", ".join(value) or "none"
    if isinstance(value, Model):
        return str(value)
    return {None: "none", True: "true", False: "false"}.get(value, str(value))
