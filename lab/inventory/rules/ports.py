"""Ports: those that the inventory chooses are nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.addons import AddOn, addons, selected
from lab.addons.load import HOST_FILE
from lab.addons.model import DeclaredPort
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.shape import place
from lab.own_yaml import load

ROLES = Path(__file__).resolve().parents[3] / "roles"
API_PORT: Loc = ("kubernetes", "api_port")
NODE_PORTS = range(30000, 32768)
"""What Kubernetes gives to services of type NodePort (--service-node-port-range's default)."""


class _Port(DeclaredPort):
    """A port as this rule reads it: who may reach it, and from when on, is nothing to it."""

    model_config = ConfigDict(extra="ignore")


class _RolePorts(BaseModel):
    """A role file as this rule reads it."""

    listen: tuple[_Port, ...] = ()
    closed: tuple[_Port, ...] = ()


class _HostPorts(BaseModel):
    """An add-on's roles of machines as this rule reads them."""

    roles: tuple[_RolePorts, ...] = ()


@cache
def _of_roles() -> tuple[_RolePorts, ...]:
    """The ports of every role. Raises `InputError` for a role that is none."""
    return tuple(load(file, _RolePorts) for file in sorted(ROLES.glob("*.yaml")))


def _closed() -> dict[tuple[int, str], str]:
    """Ports on which nothing may listen, by number and protocol, with what they are."""
    return {
        (item.port, item.protocol): f"{item.name}, which must stay closed"
        for role in _of_roles()
        for item in role.closed
        if isinstance(item.port, int)
    }


@cache
def _of_addons() -> dict[AddOn, tuple[_Port, ...]]:
    """The ports of every add-on.

    Raises `InputError` for one that names no number of the inventory, and for one that is somebody else's.
    """
    found: dict[AddOn, tuple[_Port, ...]] = {}
    of_roles = [item for role in _of_roles() for item in role.listen]
    taken: dict[tuple[object, str], str] = {
        (number, kind): what for (number, kind), what in _closed().items()
    }
    taken |= {(_usual(item), item.protocol): item.name for item in of_roles}
    for addon in addons():
        for own in addon.ports:
            if owner := taken.get((own.port, own.protocol)) if isinstance(own.port, int) else None:
                raise InputError(
                    f"addons/{addon.folder.name}/addon.yaml: ports: {own.name}: {own.port}/{own.protocol} "
                    f"is the port of {owner}",
                    next_step="choose another",
                )
            taken[_usual(own), own.protocol] = own.name
        roles = load(addon.folder / HOST_FILE, _HostPorts).roles if addon.has(HOST_FILE) else ()
        of_machines = tuple(port for role in roles for port in role.listen)
        for file, port in (
            *(("addon.yaml", port) for port in addon.ports),
            *((HOST_FILE, port) for port in of_machines),
        ):
            here = place(tuple(port.port.split("."))) if isinstance(port.port, str) else None
            if isinstance(port.port, str) and (here is None or here.kind is not int):
                raise InputError(
                    f"addons/{addon.folder.name}/{file}: ports: {port.name}: {port.port}: "
                    "the inventory has no such number; write SECTION.KEY, or a number",
                    next_step="correct the file",
                )
        of_pods = tuple(_Port.model_validate(port.model_dump()) for port in addon.ports)
        found[addon] = (*of_pods, *of_machines)
    return found


def _declared(inventory: Inventory) -> tuple[dict[tuple[int, str], str], dict[Loc, str]]:
    """The ports that roles and the add-ons of a lab declare.

    Fixed ones by number and protocol with what they are, and the protocol of those that a field holds.
    """
    of_addons = _of_addons()
    found = [item for role in _of_roles() for item in role.listen]
    found += [item for addon in selected(inventory) for item in of_addons[addon]]
    fixed = _closed() | {
        (item.port, item.protocol): item.name for item in found if isinstance(item.port, int)
    }
    chosen: dict[Loc, str] = {
        tuple(item.port.split(".")): item.protocol for item in found if isinstance(item.port, str)
    }
    return fixed, chosen


def _usual(item: DeclaredPort) -> object:
    """A port's number; of one that a field holds, its default."""
    return default_of(tuple(item.port.split("."))) if isinstance(item.port, str) else item.port


def default_of(path: Loc) -> object:
    """What the inventory takes for a field that is left out; `another` where it must be written."""
    here = place(path)
    return here.field.default if here and here.field else "another"


def ports(inventory: Inventory) -> Iterator[Problem]:
    """The API's port and those of add-ons are nobody else's on the same machines."""
    fixed, chosen = _declared(inventory)
    for path, protocol in chosen.items():
        number = inventory.number(".".join(map(str, path)))
        if owner := fixed.get((number, protocol)):
            yield Problem(path, f"is the port of {owner}", f"write {default_of(path)}")
    if inventory.kubernetes.api_port in NODE_PORTS:
        rule = f"lies in the range of NodePorts, {NODE_PORTS[0]}-{NODE_PORTS[-1]}"
        yield Problem(API_PORT, rule, f"write {default_of(API_PORT)}")


RULES = (ports,)
