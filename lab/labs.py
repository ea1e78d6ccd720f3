"""One lab, opened: its inventory, its provider, how to reach its hosts and its API."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import CommandError, DeadlineError, FailedError, InputError
from lab.inventory.addon_sections import domain
from lab.inventory.models import Arch, Host, Inventory, ProviderName
from lab.machines import Provider, Traits
from lab.providers.mixed import MixedProvider
from lab.ssh import Keys, Ssh
from lab.waits import be_patient

if TYPE_CHECKING:
    from lab.authority import Authority

MACHINES = Path("/var/lib/plumbline")
"""Machines of the lxc provider: rights and owners of their files matter, so not below a home folder."""


def provider_for(inventory: Inventory, root: Path, layers: tuple[Path, ...] = ()) -> Provider:
    """The provider of a lab, one for all its machines or several behind the same contract.

    `layers` are the read-only trees under an lxc machine; only `create` needs them. Machines that exist
    stand in the network of those that are made, if any are: theirs comes first.
    """
    names = list(dict.fromkeys(inventory.provided_by(name) for name in inventory.hosts))
    made = [name for name in names if name is not ProviderName.STATIC]
    parts: dict[ProviderName, Provider] = {}
    for name in made:
        parts[name] = _provider(name, inventory, root, layers)
    if ProviderName.STATIC in names:
        network = next(iter(parts.values())).enter if parts else _nothing
        parts[ProviderName.STATIC] = _static(inventory, root, network)
    if len(parts) == 1:
        return next(iter(parts.values()))
    owners = {name: parts[inventory.provided_by(name)] for name in inventory.hosts}
    return MixedProvider(tuple(parts.values()), owners)


def _provider(name: ProviderName, inventory: Inventory, root: Path, layers: tuple[Path, ...]) -> Provider:
    if name is ProviderName.LXC:
        from lab.providers.lxc.provider import LxcProvider

        home = Path(os.environ.get("PLUMBLINE_MACHINES") or MACHINES) / inventory.lab
        return LxcProvider(inventory.lab, home, _bridge(inventory), layers)
    if name is ProviderName.PROXMOX:
        from lab.providers.proxmox.provider import ProxmoxProvider

        return ProxmoxProvider(inventory, report=logging.getLogger("plumbline").warning)
    return _vagrant(inventory, root)


def _bridge(inventory: Inventory) -> IPv4Interface:
    """The gateway's address on an embedded lab's switch."""
    return IPv4Interface((inventory.network.gateway, inventory.network.lan.prefixlen))


def _vagrant(inventory: Inventory, root: Path) -> Provider:
    """The backend is the one that the lab's machines were made with, else the one that Vagrant would take."""
    from lab.providers.lxc.network import LabNetwork
    from lab.providers.vagrant.config import VAGRANTFILE, machines
    from lab.providers.vagrant.provider import VagrantProvider

    folder = root / ".lab" / inventory.lab / "vagrant"
    backend = os.environ.get("VAGRANT_DEFAULT_PROVIDER") or vagrant_backend(folder)
    files = {
        "Vagrantfile": VAGRANTFILE.read_text(),
        "machines.json": machines(inventory, Keys(inventory.lab), folder),
        "backend": f"{backend}\n",
    }
    network = LabNetwork(inventory.lab, folder, _bridge(inventory)) if backend == "lxc" else None
    return VagrantProvider(folder, backend, files, network)


def vagrant_backend(folder: Path) -> str:
    """What an earlier build noted down; libvirt before the first."""
    noted = folder / "backend"
    return noted.read_text().strip() if noted.exists() else "libvirt"


def _static(inventory: Inventory, root: Path, network: Callable[[], None]) -> Provider:
    from lab.hosts.converge import EVIDENCE
    from lab.hosts.release import release
    from lab.providers.static.provider import StaticProvider

    hosts = {name: host for name, host in inventory.hosts.items() if not inventory.makes(name)}
    return StaticProvider(
        inventory.lab,
        hosts,
        inventory.network.lan,
        connect=lambda: ssh_for(inventory, root),
        public_key=lambda: Keys(inventory.lab).own().public,
        release=lambda ssh, name: release(ssh, inventory, name),
        evidence=EVIDENCE,
        enter=network,
    )


def _nothing() -> None:
    """Machines on a real LAN are reached from where we are."""


def ssh_for(inventory: Inventory, root: Path) -> Ssh:
    """SSH to the hosts of a lab; its configuration lies in the checkout's folder of the lab."""
    addresses = {name: host.address for name, host in inventory.hosts.items()}
    own_keys = {name: host.host_key for name, host in inventory.hosts.items() if host.host_key}
    folder = root / ".lab" / inventory.lab / "ssh"
    return Ssh.write(folder, inventory.ssh.user, Keys(inventory.lab), addresses, own_keys)


def stocked(inventory: Inventory) -> tuple[Arch, ...]:
    """Architectures of the machines that get programs and images over SSH."""
    over_ssh = [name for name in inventory.hosts if inventory.provided_by(name) is not ProviderName.LXC]
    return tuple(dict.fromkeys(inventory.hosts[name].arch for name in over_ssh))


def traits_of(inventory: Inventory) -> dict[str, Traits]:
    """What each machine cannot do as a full one would, by host, as far as that is known without asking it."""
    found = {}
    for name in inventory.hosts:
        provider = inventory.provided_by(name)
        made = _provider(provider, inventory, Path(), ()) if provider is ProviderName.LXC else None
        found[name] = made.traits_of(name) if made else Traits()
    return found


@dataclass(frozen=True)
class Lab:
    """Everything a command needs to look at a lab or change it."""

    inventory: Inventory
    root: Path
    given: Provider | None = None
    """A provider that stands in for the inventory's own."""
    layers: tuple[Path, ...] = ()

    @classmethod
    def open(cls, inventory: Inventory, root: Path, layers: tuple[Path, ...] = ()) -> Lab:
        """The lab of an inventory; `root` is the checkout, below which `.lab/<lab>/` lies.

        The process waits as patiently as the inventory says from here on.
        """
        be_patient(inventory.patience)
        return cls(inventory, root, layers=layers)

    def host(self, name: str) -> Host:
        """The host of that name. Raises `InputError` with the names there are."""
        if name not in self.inventory.hosts:
            known = ", ".join(self.inventory.hosts)
            raise InputError(f"--host {name}: no such host in {self.inventory.lab}; there are: {known}")
        return self.inventory.hosts[name]

    @cached_property
    def provider(self) -> Provider:
        """Who makes the machines; asked for by those alone who need machines. Raises `InputError`."""
        return self.given or provider_for(self.inventory, self.root, self.layers)

    @property
    def folder(self) -> Path:
        """What this checkout keeps of the lab."""
        return self.root / ".lab" / self.inventory.lab

    @cached_property
    def keys(self) -> Keys:
        """The harness's key and the host keys."""
        return Keys(self.inventory.lab)

    @cached_property
    def authority(self) -> Authority:
        """The CA of what the lab serves by name."""
        from lab.authority import Authority  # cryptography is slow to import, and few commands need it

        return Authority(self.keys.folder / "ca", domain(self.inventory))

    @cached_property
    def ssh(self) -> Ssh:
        """SSH to the hosts. The process must have entered the lab's network."""
        return ssh_for(self.inventory, self.root)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for people and for the API client."""
        return self.folder / "kubeconfig"

    def fetch_kubeconfig(self) -> Path:
        """Copy admin.conf from the first master that has one. Raises `FailedError` when none does."""
        for name in self.inventory.masters:
            try:
                text = self.ssh.run(name, "cat /etc/kubernetes/admin.conf", seconds=10)
            except (CommandError, DeadlineError, FailedError):
                continue
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.kubeconfig.exists() or self.kubeconfig.read_text() != text:
                part = self.kubeconfig.with_suffix(f".{os.getpid()}")
                part.touch(mode=0o600)
                part.write_text(text)
                part.replace(self.kubeconfig)
            return self.kubeconfig
        raise FailedError(
            f"{self.inventory.lab}: no master has an administrator's kubeconfig",
            next_step="invoke status",
        )
