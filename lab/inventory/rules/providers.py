"""What each provider can make, and what a machine's hardware can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lab.inventory.models import Arch, Host, HostRole, Inventory, ProviderName
from lab.inventory.problems import Loc, Problem
from lab.inventory.rules.hosts import host
from lab.inventory.sections import HostPower

_NO_HYPERVISOR: Mapping[str, tuple[Any, ...]] = {"hypervisor": (None,), "vmid": (None,)}
_MADE: Mapping[str, tuple[Any, ...]] = {"host_key": (None,), "power": (HostPower(),)}
ALLOWED: Mapping[ProviderName, Mapping[str, tuple[Any, ...]]] = {
    ProviderName.LXC: {
        "os": ("debian-12",),
        "arch": (Arch.AMD64,),
        "hardware": ("vm",),
        **_NO_HYPERVISOR,
        **_MADE,
    },
    ProviderName.VAGRANT: {"arch": (Arch.AMD64,), "hardware": ("vm",), **_NO_HYPERVISOR, **_MADE},
    ProviderName.PROXMOX: {"arch": (Arch.AMD64,), "hardware": ("vm",), **_MADE},
    ProviderName.STATIC: _NO_HYPERVISOR,
}
"""The values that a provider takes, for the fields where it does not take all."""
RASPBERRY_PI: Mapping[str, tuple[Any, ...]] = {
    "arch": (Arch.ARM64,),
    "os": ("ubuntu-24.04",),
    "cpus": (4,),
    "memory_gib": (2, 4, 8, 16),
}
"""What a Raspberry Pi 5 is (product brief: four cores; 2, 4, 8 or 16 GB), and what boots on it here."""


def provider_of(inventory: Inventory, machine: Host) -> ProviderName:
    """Who makes a machine."""
    return machine.provider or inventory.provider


def makes(inventory: Inventory) -> Iterator[Problem]:
    """A machine is one that its provider can make."""
    for name, machine in inventory.hosts.items():
        provider = provider_of(inventory, machine)
        owner = host(name, "provider") if machine.provider else ("provider",)
        yield from _only(name, machine, ALLOWED[provider], f"provider {provider}", owner)
        if provider is ProviderName.PROXMOX and not machine.hypervisor:
            known = ", ".join(inventory.hypervisors) or "described under hypervisors"
            read = (owner, host(name, "provider"), host(name, "hypervisor"))
            rule, fix = "a machine on Proxmox VE needs its hypervisor", f"add hypervisor: one of {known}"
            yield Problem(("hosts", name), rule, fix, depends=read, value="")


def reached(inventory: Inventory) -> Iterator[Problem]:
    """Machines on Proxmox VE are made through its API, so the inventory says where that is."""
    if inventory.proxmox is not None:
        return
    for name, machine in inventory.hosts.items():
        if provider_of(inventory, machine) is ProviderName.PROXMOX:
            path: Loc = host(name, "provider") if machine.provider else ("provider",)
            rule = "the section proxmox is missing, which says where its API is"
            fix = "add proxmox with host and token: docs/proxmox.md"
            yield Problem(path, rule, fix, depends=(("proxmox",),))
            return


def unused(inventory: Inventory) -> Iterator[Problem]:
    """A lab without a machine on Proxmox VE has no section for it: nothing would read it."""
    providers = {provider_of(inventory, machine) for machine in inventory.hosts.values()}
    if inventory.proxmox is not None and ProviderName.PROXMOX not in providers:
        rule, fix = "no machine of this lab is made on Proxmox VE", "remove the section"
        yield Problem(("proxmox",), rule, fix, depends=(("provider",), ("hosts",)))


def pis(inventory: Inventory) -> Iterator[Problem]:
    """A Raspberry Pi is a Raspberry Pi: it exists already, and is what it is."""
    for name, machine in inventory.hosts.items():
        if machine.hardware != "raspberry-pi-5":
            continue
        hardware = host(name, "hardware")
        yield from _only(name, machine, RASPBERRY_PI, "a Raspberry Pi 5", hardware)


def _only(
    name: str, machine: Host, allowed: Mapping[str, tuple[Any, ...]], owner: str, owner_path: Loc
) -> Iterator[Problem]:
    read = (host(name, "provider"), host(name, "hardware"))
    for key, values in allowed.items():
        if getattr(machine, key) in values:
            continue
        rule, fix = f"means nothing to {owner}", "remove it"
        if values not in ((None,), (HostPower(),)):
            choice = " or ".join(str(item) for item in values)
            rule, fix = f"{owner} takes only {key} {choice}", f"write {choice}"
        yield Problem(host(name, key), rule, fix, others=(owner_path,), depends=read)


def one_network(inventory: Inventory) -> Iterator[Problem]:
    """LXC machines live in a network of their own on this machine: no other provider's can join it.

    A machine that exists may stand there, if somebody has put it there; whether it does is seen by asking it.
    """
    owners = {name: provider_of(inventory, machine) for name, machine in inventory.hosts.items()}
    if ProviderName.LXC not in owners.values():
        return
    for name, provider in owners.items():
        if provider not in (ProviderName.LXC, ProviderName.STATIC):
            path: Loc = host(name, "provider") if inventory.hosts[name].provider else ("provider",)
            others = (("provider",),) if path != ("provider",) else ()
            rule = "cannot share a lab with lxc machines, whose network never leaves this machine"
            fix = "remove it" if others else "write lxc, or take provider: lxc away from the hosts"
            yield Problem(path, rule, fix, others=others)
            return


def tagged(inventory: Inventory) -> Iterator[Problem]:
    """A VLAN tag is set on a hypervisor's bridge; no other provider has a place for it."""
    providers = {provider_of(inventory, machine) for machine in inventory.hosts.values()}
    if inventory.network.vlan is not None and ProviderName.PROXMOX not in providers:
        rule = "only machines of the proxmox provider can be given a VLAN tag"
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


RULES = (makes, reached, unused, pis, one_network, tagged, wakes, spread)
