"""What each provider can make, and what a machine's hardware can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

from lab.errors import InputError
from lab.inventory.models import Host, HostRole, Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.providers import names, rules_of
from lab.inventory.rules.hosts import host

RASPBERRY_PI: Mapping[str, tuple[str, ...]] = {
    "arch": ("arm64",),
    "os": ("ubuntu-24.04",),
    "cpus": ("4",),
    "memory_gib": ("2", "4", "8", "16"),
}
"""What a Raspberry Pi 5 is (product brief: four cores; 2, 4, 8 or 16 GB), and what boots on it here."""


def makes(inventory: Inventory) -> Iterator[Problem]:
    """A machine is one that its provider can make."""
    _fields()
    for name, machine in inventory.hosts.items():
        provider = inventory.provided_by(name)
        rules = rules_of(provider)
        owner = _owner(name, machine)
        yield from _takes(name, machine, rules.takes, f"provider {provider}", owner)
        for key in rules.refuses:
            if getattr(machine, key) != Host.model_fields[key].get_default(call_default_factory=True):
                rule = f"means nothing to provider {provider}"
                yield Problem(host(name, key), rule, "remove it", others=(owner,), depends=_read(name))
        if rules.needs_hypervisor and not machine.hypervisor:
            known = ", ".join(inventory.hypervisors) or "described under hypervisors"
            read = (owner, host(name, "provider"), host(name, "hypervisor"))
            rule, fix = f"a machine on {rules.title} needs its hypervisor", f"add hypervisor: one of {known}"
            yield Problem(("hosts", name), rule, fix, depends=read, value="")


@cache
def _fields() -> None:
    """Raise `InputError` for rules of a provider about what is no field of a host."""
    known = ", ".join(Host.model_fields)
    problems = [
        f"lab/providers/{name}/provider.yaml: {part}: {key}: no field of a host; they are: {known}"
        for name in names()
        for part in ("takes", "refuses")
        for key in getattr(rules_of(name), part)
        if key not in Host.model_fields
    ]
    if problems:
        raise InputError("\n".join(problems), next_step="correct the file")


def reached(inventory: Inventory) -> Iterator[Problem]:
    """A provider that is reached through an API has the section that says where that is."""
    told = set()
    for name, machine in inventory.hosts.items():
        section = rules_of(inventory.provided_by(name)).section
        if section is None or section.key in told or getattr(inventory, section.key) is not None:
            continue
        told.add(section.key)
        rule = f"the section {section.key} is missing, {section.rule}"
        yield Problem(_owner(name, machine), rule, section.fix, depends=((section.key,),))


def unused(inventory: Inventory) -> Iterator[Problem]:
    """A lab without a machine of a provider has no section for it: nothing would read it."""
    used = set(map(inventory.provided_by, inventory.hosts))
    for name in names():
        rules = rules_of(name)
        if rules.section and name not in used and getattr(inventory, rules.section.key) is not None:
            rule, fix = f"no machine of this lab is made on {rules.title}", "remove the section"
            yield Problem((rules.section.key,), rule, fix, depends=(("provider",), ("hosts",)))


def fits_hardware(inventory: Inventory) -> Iterator[Problem]:
    """A Raspberry Pi is a Raspberry Pi: it exists already, and is what it is."""
    for name, machine in inventory.hosts.items():
        if machine.hardware != "raspberry-pi-5":
            continue
        hardware = host(name, "hardware")
        yield from _takes(name, machine, RASPBERRY_PI, "a Raspberry Pi 5", hardware)


def _owner(name: str, machine: Host) -> Loc:
    """Where the machine's provider is chosen."""
    return host(name, "provider") if machine.provider else ("provider",)


def _read(name: str) -> tuple[Loc, ...]:
    return (host(name, "provider"), host(name, "hardware"))


def _takes(
    name: str, machine: Host, taken: Mapping[str, tuple[str, ...]], owner: str, owner_path: Loc
) -> Iterator[Problem]:
    for key, values in taken.items():
        if str(getattr(machine, key)) not in values:
            choice = " or ".join(values)
            rule, fix = f"{owner} takes only {key} {choice}", f"write {choice}"
            yield Problem(host(name, key), rule, fix, others=(owner_path,), depends=_read(name))


def one_network(inventory: Inventory) -> Iterator[Problem]:
    """Machines whose network never leaves this machine are not joined by other providers' machines.

    A machine that exists may stand there, if somebody has put it there; whether it does is seen by asking it.
    """
    for closed in dict.fromkeys(map(inventory.provided_by, inventory.hosts)):
        if not rules_of(closed).closed:
            continue
        for name, machine in inventory.hosts.items():
            if inventory.provided_by(name) == closed or not inventory.makes(name):
                continue
            path = _owner(name, machine)
            others = (("provider",),) if path != ("provider",) else ()
            rule = f"cannot share a lab with {closed} machines, whose network never leaves this machine"
            fix = "remove it" if others else f"write {closed}, or take provider: {closed} away from the hosts"
            yield Problem(path, rule, fix, others=others)
            return


def tagged(inventory: Inventory) -> Iterator[Problem]:
    """A VLAN tag is set on a hypervisor's bridge; no other provider has a place for it."""
    able = [name for name in names() if rules_of(name).vlan]
    if inventory.network.vlan is not None and not {*map(inventory.provided_by, inventory.hosts)} & {*able}:
        rule = f"only machines of the {' and '.join(able)} provider can be given a VLAN tag"
        yield Problem(("network", "vlan"), rule, "remove it", depends=(("provider",),))


def wakes(inventory: Inventory) -> Iterator[Problem]:
    """A wake-up packet carries the address of the card that it wakes."""
    for name, machine in inventory.hosts.items():
        if machine.power.wake_on_lan and not machine.mac:
            rule, fix = "a wake-up packet needs the machine's address", f"add hosts.{name}.mac"
            yield Problem(host(name, "power"), rule, fix, value="wake_on_lan: true")


def spread(inventory: Inventory) -> Iterator[Problem]:
    """Masters stand on different hypervisors as far as there are any: one that dies takes one along."""
    carriers = Counter(
        machine.hypervisor
        for machine in inventory.hosts.values()
        if machine.role is HostRole.CONTROL_PLANE and machine.hypervisor
    )
    free = [name for name in inventory.hypervisors if name not in carriers]
    for name, count in carriers.items():
        if count > 1 and free:
            rule = f"carries {count} masters, and {', '.join(free)} none: etcd may die with it"
            read = tuple(host(master, "hypervisor") for master in inventory.masters)
            path: Loc = ("hypervisors", name or "")
            yield Problem(path, rule, f"move a master to {free[0]}", depends=read, value="", warning=True)


RULES = (makes, reached, unused, fits_hardware, one_network, tagged, wakes, spread)
