"""MetalLB in the inventory: pools of addresses inside the LAN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lab.inventory.addon_sections import LanRange, NewLab, Section, pod_interfaces
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.ranges import AddressRange
from lab.inventory.sections import Model
from lab.inventory.tested import version_field
from lab.inventory.types import DnsLabel, Switch, VersionV

if TYPE_CHECKING:
    from rich.console import RenderableType

POOLS: Loc = ("metallb", "pools")
POOL_SIZE = 50
"""Addresses for services in a new inventory, if the LAN has as many."""


class Pool(Model):
    """Addresses that MetalLB hands out."""

    name: DnsLabel = Field(description="Name of the pool.")
    addresses: tuple[AddressRange, ...] = Field(min_length=1, description="Ranges (A-B) or networks (A/N).")
    auto_assign: Switch = Field(True, description="Hand out to services that ask for no pool.")


class MetalLB(Model):
    """Load balancer addresses by ARP (layer 2)."""

    version: VersionV = version_field("metallb", "MetalLB version.")
    pools: tuple[Pool, ...] = Field(min_length=1, description="Address pools, each announced on the LAN.")


def names(inventory: Inventory) -> Iterator[Problem]:
    """No two pools share a name."""
    first: dict[str, Loc] = {}
    for index, pool in enumerate(inventory.section(MetalLB).pools):
        path: Loc = (*POOLS, index, "name")
        if pool.name in first:
            yield Problem(path, f"duplicate pool name {pool.name}", "rename one", others=(first[pool.name],))
        first.setdefault(pool.name, path)


def handed_out(inventory: Inventory) -> Iterator[Problem]:
    """A service that names no pool needs one that is handed out by itself."""
    if not any(pool.auto_assign for pool in inventory.section(MetalLB).pools):
        rule = "no pool has auto_assign: a service that names none stays without address"
        fix = "leave auto_assign of one pool out, or name a pool in every service"
        yield Problem(POOLS, rule, fix, warning=True)


def holds(inventory: Inventory, address: IPv4Address) -> bool:
    """Whether an address is one of a pool."""
    return any(address in area for pool in inventory.section(MetalLB).pools for area in pool.addresses)


def _lan_ranges(inventory: Inventory) -> tuple[LanRange, ...]:
    return tuple(
        LanRange((*POOLS, i, "addresses", j), f"pool {pool.name}", addresses)
        for i, pool in enumerate(inventory.section(MetalLB).pools)
        for j, addresses in enumerate(pool.addresses)
    )


def _values(inventory: Inventory, images: Mapping[str, str]) -> dict[str, Any]:
    probe = inventory.reaction.member_milliseconds
    # read by the speaker that is built here; upstream's image does not know it
    members = {"PLUMBLINE_MEMBER_PROBE_MILLISECONDS": str(probe)} if probe else {}
    # the last one is the pod network's way to other nodes, the first a bridge that every node has alone
    link = pod_interfaces(inventory)[-1]
    return {
        "speaker_environment": {**inventory.api_environment, **members},
        "forwarding": {
            "image": images["probe"],
            # behind a ClusterIP there is somebody only where kube-proxy has written its rules
            "command": [
                *("/probe", "await", f"--link={link}"),
                f"{inventory.kubernetes.service_subnet[1]}:443",
            ],
        },
    }


def _tables(inventory: Inventory) -> tuple[RenderableType, ...]:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="address pools", title_justify="left")
    for title in ("pool", "ranges", "addresses", "handed out"):
        table.add_column(title, justify="right" if title == "addresses" else "left")
    for pool in inventory.section(MetalLB).pools:
        ranges = ", ".join(str(addresses) for addresses in pool.addresses)
        size = sum(len(addresses) for addresses in pool.addresses)
        cells = (pool.name, ranges, str(size), "by itself" if pool.auto_assign else "when named")
        table.add_row(*map(Text, cells))
    return (table,)


def _written(new: NewLab) -> str:
    last = min(new.free.last, new.first + POOL_SIZE - 1)
    return (
        "metallb:\n  pools:\n    - name: default\n"
        f"      addresses: [{new.first}-{last}] "
        "# nobody else may use them, and no DHCP server hand them out\n"
    )


SECTION = Section(
    model=MetalLB,
    presence="required",
    rules=(names, handed_out),
    values=_values,
    tables=_tables,
    written=_written,
    lan_ranges=_lan_ranges,
)
