"""The ingress: on an address that MetalLB has, on as many workers as it has pods, under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from addons.metallb.section import POOLS, MetalLB, holds
from lab.inventory.addon_sections import NewLab, Section, domain
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.sections import Model
from lab.inventory.tested import version_field
from lab.inventory.types import Address, Domain, VersionV, Whole

ADDRESS: Loc = ("ingress", "address")
REPLICAS: Loc = ("ingress", "replicas")
DOMAIN: Loc = ("ingress", "domain")


class Ingress(Model):
    """Traefik: HTTP and HTTPS by name behind one address; left out, it is not part of the lab."""

    address: Address = Field(description="Its address, one of a MetalLB pool.")
    domain: Domain | None = Field(
        None, description="Its certificate is for this domain and all names in it; default: LAB.internal."
    )
    replicas: Whole = Field(2, ge=1, le=16, description="Pods, each on a worker of its own.")
    version: VersionV = version_field("ingress", "Traefik version.")


def address(inventory: Inventory) -> Iterator[Problem]:
    """The ingress' address is one of a MetalLB pool: nobody else announces it."""
    wanted, pools = inventory.section(Ingress).address, inventory.section(MetalLB).pools
    if not holds(inventory, wanted):
        areas = ", ".join(str(area) for pool in pools for area in pool.addresses)
        fix = f"write {pools[0].addresses[0].first}, or another address of a pool"
        yield Problem(ADDRESS, f"is in no pool of metallb.pools ({areas})", fix, depends=(POOLS,))


def replicas(inventory: Inventory) -> Iterator[Problem]:
    """No two pods of the ingress share a worker, so that the loss of one machine is the loss of one pod."""
    wanted, workers = inventory.section(Ingress).replicas, len(inventory.workers)
    # without any worker there is more to say, and it is said elsewhere
    if 0 < workers < wanted:
        rule = f"wants as many workers, and there are {workers}"
        yield Problem(REPLICAS, rule, f"write {workers}, or add workers", depends=(("hosts",),))


def own_domain(inventory: Inventory) -> Iterator[Problem]:
    """The ingress' domain is not the cluster's own, whose names only pods can resolve."""
    own = inventory.kubernetes.dns_domain
    if f".{domain(inventory)}".endswith(f".{own}"):
        rule, fix = "lies in the cluster's own domain", f"write another, as {inventory.lab}.home.arpa"
        yield Problem(DOMAIN, rule, fix, others=(("kubernetes", "dns_domain"),))


def _rows(inventory: Inventory) -> dict[str, str]:
    found = inventory.section(Ingress)
    names = f"https://*.{domain(inventory)}"
    return {"ingress": f"{names} at {found.address}, {found.replicas} replicas"}


def _written(new: NewLab) -> str:
    """An ingress on the first address of the pool, if that leaves one for services."""
    if len(new.free) == 1:
        return ""
    replicas = "" if new.workers > 1 else "  replicas: 1 # each needs a worker of its own\n"
    return (
        "ingress: # HTTP and HTTPS by name; without this section there is none\n"
        f"  address: {new.first}\n{replicas}"
    )


SECTION = Section(
    model=Ingress,
    rules=(address, replicas, own_domain),
    rows=_rows,
    written=_written,
    served=lambda inventory: (f".{domain(inventory)}", str(inventory.section(Ingress).address)),
    domain=lambda inventory: inventory.section(Ingress).domain or "",
)
