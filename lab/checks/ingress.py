"""The lab's ingress as checks, faults and load use it, whichever add-on provides it."""

from __future__ import annotations

import ssl
from typing import Protocol, cast

from lab.addons import provider_of
from lab.checks.driver import Driver
from lab.checks.outcomes import NotPartOfLab
from lab.checks.outside import Answer
from lab.checks.workspace import Workspace
from lab.inventory.models import Inventory
from lab.parts import part

WHAT = "ingress"


class IngressClient(Protocol):
    """HTTP and HTTPS by name behind one address. `client.py` of the add-on has one as `client(driver)`."""

    @property
    def driver(self) -> Driver:
        """How to look at the lab."""

    @property
    def address(self) -> str:
        """Its address on the LAN."""

    @property
    def tls(self) -> ssl.SSLContext:
        """A client that trusts the lab's CA and nobody else. Raises `CouldNotTell` without the CA."""

    def name(self, label: str) -> str:
        """A host name of the lab's domain."""

    def get(self, label: str, path: str = "/", *, headers: dict[str, str] | None = None) -> Answer:
        """GET by HTTPS over a new connection, certificate and name verified."""

    def backend(self, label: str, path: str = "/") -> str:
        """The app whose echo server answers. Raises `Refused` for any other answer than 200."""

    def await_route(self, space: Workspace, label: str, app: str) -> None:
        """Wait until every replica leads a host name to an app whose pods are there."""


def has_ingress(inventory: Inventory) -> bool:
    """Whether an add-on of the lab provides one."""
    return provider_of(WHAT, inventory) is not None


def ingress_client(driver: Driver) -> IngressClient:
    """The lab's. Raises `NotPartOfLab` when none of its add-ons provides one."""
    addon = provider_of(WHAT, driver.inventory)
    if addon is None:
        raise NotPartOfLab(WHAT, "no add-on of the inventory provides one")
    return cast(IngressClient, part(f"{addon.module}.client", "client")(driver))
