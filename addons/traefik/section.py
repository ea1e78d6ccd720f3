"""The ingress: on an address that MetalLB has, on as many workers as it has pods, under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from addons.metallb.section import POOLS, MetalLB, holds
from lab.inventory.addon_sections import NewLab, Section, domain
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.rules.resolvers import multicast
from lab.inventory.sections import Model
from lab.inventory.tested import version_field
from lab.inventory.types import Address, Domain, Seconds, VersionV, Whole

ADDRESS: Loc = ("ingress", "address")
REPLICAS: Loc = ("ingress", "replicas")
READ: Loc = ("ingress", "timeout_read_seconds")
WRITE: Loc = ("ingress", "timeout_write_seconds")
DOMAIN: Loc = ("ingress", "domain")
ENTRY_POINTS = ("web", "websecure")
"""Of clients: HTTP, which leads to HTTPS, and HTTPS."""


class Ingress(Model):
    """Traefik: HTTP and HTTPS by name behind one address; left out, it is not part of the lab."""

    address: Address = Field(description="Its address, one of a MetalLB pool.")
    domain: Domain | None = Field(
        None, description="Its certificate is for this domain and all names in it; default: LAB.internal."
    )
    replicas: Whole = Field(2, ge=1, le=16, description="Pods, each on a worker of its own.")
    timeout_read_seconds: Seconds = Field(
        3600, description="Time in which a client must have sent its whole request, body included."
    )
    timeout_write_seconds: Whole = Field(
        0,
        ge=0,
        le=86400,
        description="Time from a request's header until its answer is sent whole; 0: as long as it takes.",
    )
    timeout_idle_seconds: Seconds = Field(
        180, description="Time for which a connection without a request is kept."
    )
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


def time_outs(inventory: Inventory) -> Iterator[Problem]:
    """An answer may take as long as its request: its time runs from the request's header on."""
    found = inventory.section(Ingress)
    read, write = found.timeout_read_seconds, found.timeout_write_seconds
    if 0 < write < read:
        rule = f"would end a request that may take {read} s: the time of an answer runs from its header on"
        yield Problem(WRITE, rule, f"write 0 for no limit, or {read} at least", others=(READ,))


def arguments(inventory: Inventory) -> dict[str, str]:
    """What Traefik must have been started with so that requests arrive as they were sent, by argument."""
    found = inventory.section(Ingress)
    times = {
        "readtimeout": found.timeout_read_seconds,
        "writetimeout": found.timeout_write_seconds,
        "idletimeout": found.timeout_idle_seconds,
    }
    wanted = {}
    for entry in ENTRY_POINTS:
        for name, seconds in times.items():
            wanted[f"--entrypoints.{entry}.transport.respondingtimeouts.{name}"] = f"{seconds}s"
        wanted[f"--entrypoints.{entry}.http.encodedcharacters.allowencodedslash"] = "true"
    return wanted


def _values(inventory: Inventory, _images: Mapping[str, str]) -> dict[str, list[str]]:
    return {"arguments": [f"{name}={value}" for name, value in arguments(inventory).items()]}


def covered(inventory: Inventory) -> Iterator[Problem]:
    """The ingress' domain has two labels at least, or no client takes its certificate for the names in it.

    OpenSSL, curl and browsers refuse a star with one label behind it.
    """
    name = inventory.section(Ingress).domain
    if name is None:
        return
    if "." not in name:
        rule = f"has one label: clients refuse a certificate for *.{name} (a star needs two labels behind it)"
        yield Problem(DOMAIN, rule, f"write {name}.home.arpa, or a domain of yours")
    else:
        yield from multicast(DOMAIN, name)


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
    rules=(address, replicas, own_domain, time_outs, covered),
    values=_values,
    rows=_rows,
    written=_written,
    served=lambda inventory: (f".{domain(inventory)}", str(inventory.section(Ingress).address)),
    domain=lambda inventory: inventory.section(Ingress).domain or "",
)
