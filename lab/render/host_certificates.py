"""Keys of a host's own, with certificates of the lab's CA: names, places, and who may read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.addons import selected
from lab.addons.model import Rights
from lab.inventory.addon_sections import domain
from lab.inventory.models import Inventory
from lab.render.role import Action, AddOnRole


@dataclass(frozen=True)
class HostCertificate:
    """A key that the host makes and keeps in `folder`, and its certificate for `names` by the lab's CA."""

    folder: str
    names: tuple[str, ...]
    on_change: tuple[Action, ...]

    @property
    def key(self) -> str:
        """Path of the private key."""
        return f"{self.folder}/tls.key"

    @property
    def certificate(self) -> str:
        """Path of the certificate."""
        return f"{self.folder}/tls.crt"

    @property
    def authority(self) -> str:
        """Path of the CA's own certificate."""
        return f"{self.folder}/ca.crt"


def certificates(inventory: Inventory, roles: Iterable[AddOnRole], name: str) -> tuple[HostCertificate, ...]:
    """Those of a host's roles, each for the host and for the service by name."""
    return tuple(
        HostCertificate(
            item.folder, tuple(f"{one}.{domain(inventory)}" for one in (name, item.name)), item.on_change
        )
        for role in roles
        for item in role.certificates
    )


def clients(inventory: Inventory) -> list[str]:
    """The names of those who may ask machines: of the certificates that the lab's add-ons have as clients."""
    return [
        f"{item.name}.{domain(inventory)}"
        for addon in selected(inventory)
        for item in addon.certificates
        if item.usage == "client"
    ]


def rights(role: AddOnRole) -> Iterator[Rights]:
    """Rights of the keys and certificates that convergence brings, as it writes them."""
    for item in role.certificates:
        yield Rights(path=item.folder, mode="0755")
        yield Rights(path=f"{item.folder}/tls.key*", mode="0600")
        yield Rights(path=f"{item.folder}/*.crt", mode="0644")
