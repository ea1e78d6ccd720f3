"""One lab, opened: its inventory, its provider, how to reach its hosts and its API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import CommandError, DeadlineError, FailedError, InputError
from lab.inventory.addon_sections import domain
from lab.inventory.models import Host, Inventory
from lab.local import own_network
from lab.machines import Provider
from lab.passwords import Passwords
from lab.providers.opening import provider_for
from lab.ssh import Keys, Ssh, ssh_for
from lab.waits import be_patient

if TYPE_CHECKING:
    from lab.authority import Authority
    from lab.cluster.api import Api


class Lab:
    """Everything a command needs to look at a lab or change it.

    `root` is the checkout, below which `.lab/<lab>/` lies; `layers` are the read-only trees of the artefacts
    that lie under machines, `backend` what the user chose of a provider's. `provider`, `ssh` and `api` stand
    in for the lab's own.
    """

    def __init__(
        self,
        inventory: Inventory,
        root: Path,
        provider: Provider | None = None,
        *,
        layers: tuple[Path, ...] = (),
        backend: str = "",
        ssh: Ssh | None = None,
        api: Api | None = None,
    ) -> None:
        self.inventory, self.root = inventory, root
        self._layers, self._backend = layers, backend
        self._provider, self._ssh, self._api = provider, ssh, api
        self._held = False

    @classmethod
    def open(cls, inventory: Inventory, root: Path, backend: str = "") -> Lab:
        """The lab of a command: the process waits as patiently as the inventory says from here on."""
        be_patient(inventory.patience)
        return cls(inventory, root, backend=backend)

    def with_layers(self, layers: tuple[Path, ...]) -> Lab:
        """The same lab, able to make machines that lie on these trees."""
        made = Lab(
            self.inventory,
            self.root,
            self._provider,
            layers=layers,
            backend=self._backend,
            ssh=self._ssh,
            api=self._api,
        )
        made._held = self._held
        return made

    def hold(self) -> None:
        """This command holds the lab (`lab.locks`): people reach it by this inventory from now on."""
        self._held = True
        self.__dict__.pop("ssh", None)

    def host(self, name: str) -> Host:
        """The host of that name. Raises `InputError` with the names there are."""
        if name not in self.inventory.hosts:
            known = ", ".join(self.inventory.hosts)
            raise InputError(f"host {name}: no such host in {self.inventory.lab}; there are: {known}")
        return self.inventory.hosts[name]

    @cached_property
    def provider(self) -> Provider:
        """Who makes the machines; asked for by those alone who need machines. Raises `InputError`."""
        return self._provider or provider_for(self.inventory, self.root, self._layers, self._backend)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets of this thread and of its later children reach the lab's network while the block runs.

        Raises `FailedError` when the lab has no network yet.
        """
        with own_network():
            self.provider.enter()
            yield

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
    def passwords(self) -> Passwords:
        """By which people log in to what runs on the lab."""
        return Passwords(self.keys.folder / "passwords")

    @cached_property
    def ssh(self) -> Ssh:
        """SSH to the hosts. The thread must be `inside` the lab's network."""
        return self._ssh or ssh_for(self.inventory, self.root, holds=self._held)

    @cached_property
    def api(self) -> Api:
        """The cluster's API through the balancer; the kubeconfig is fetched from a master first."""
        from lab.cluster.api import Api  # slow to import, and few commands need it

        return self._api or Api(self.fetch_kubeconfig())

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
