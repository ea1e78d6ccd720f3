"""One lab, opened: its inventory, its provider, how to reach its hosts and its API."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Interface
from pathlib import Path

from lab.authority import Authority
from lab.errors import CommandError, DeadlineError, FailedError, InputError
from lab.inventory.models import Host, Inventory, ProviderName
from lab.providers.base import Provider, Traits
from lab.ssh import Keys, Ssh

MACHINES = Path("/var/lib/plumbline")
"""Machines of the lxc provider: rights and owners of their files matter, so not below a home folder."""


def provider_for(inventory: Inventory, layers: tuple[Path, ...] = ()) -> Provider:
    """The provider of a lab. `layers` are the read-only trees under a machine; only `create` needs them."""
    if inventory.provider is ProviderName.LXC:
        from lab.providers.lxc import LxcProvider

        home = Path(os.environ.get("PLUMBLINE_MACHINES") or MACHINES) / inventory.lab
        bridge = IPv4Interface((inventory.network.gateway, inventory.network.lan.prefixlen))
        return LxcProvider(inventory.lab, home, bridge, layers)
    raise InputError(
        f"provider: {inventory.provider}: machines of this provider cannot be made yet",
        next_step="add --provider lxc to rehearse the topology on this machine",
    )


def traits_of(inventory: Inventory) -> dict[str, Traits]:
    """What each machine cannot do as a full machine would, by host."""
    made = Traits()
    if inventory.provider is ProviderName.LXC:
        made = provider_for(inventory).traits
    return {
        name: made if inventory.provided_by(name) is ProviderName.LXC else Traits()
        for name in inventory.hosts
    }


@dataclass(frozen=True)
class Lab:
    """Everything a command needs to look at a lab or change it."""

    inventory: Inventory
    root: Path
    provider: Provider

    @classmethod
    def open(cls, inventory: Inventory, root: Path, layers: tuple[Path, ...] = ()) -> Lab:
        """The lab of an inventory; `root` is the checkout, below which `.lab/<lab>/` lies."""
        return cls(inventory, root, provider_for(inventory, layers))

    def host(self, name: str) -> Host:
        """The host of that name. Raises `InputError` with the names there are."""
        if name not in self.inventory.hosts:
            known = ", ".join(self.inventory.hosts)
            raise InputError(f"--host {name}: no such host in {self.inventory.lab}; there are: {known}")
        return self.inventory.hosts[name]

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
        """The CA of the ingress' certificates; an inventory with an ingress has one."""
        return Authority(self.keys.folder / "ca", self.inventory.ingress_domain)

    @cached_property
    def ssh(self) -> Ssh:
        """SSH to the hosts. The process must have entered the lab's network."""
        addresses = {name: host.address for name, host in self.inventory.hosts.items()}
        return Ssh.write(self.folder / "ssh", self.inventory.ssh.user, self.keys, addresses)

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
