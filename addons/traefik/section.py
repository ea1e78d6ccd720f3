"""The ingress: on an address that MetalLB has, on as many workers as it has pods, under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator

from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem

ADDRESS: Loc = ("ingress", "address")
REPLICAS: Loc = ("ingress", "replicas")
DOMAIN: Loc = ("ingress", "domain")


def address(inventory: Inventory) -> Iterator[Problem]:
    """The ingress' address is one of a MetalLB pool: nobody else announces it."""
    ingress, pools = inventory.ingress, inventory.metallb.pools
    if ingress and not any(ingress.address in area for pool in pools for area in pool.addresses):
        areas = ", ".join(str(area) for pool in pools for area in pool.addresses)
        fix = f"write {pools[0].addresses[0].first}, or another address of a pool"
        yield Problem(
            ADDRESS, f"is in no pool of metallb.pools ({areas})", fix, depends=(("metallb", "pools"),)
        )


def replicas(inventory: Inventory) -> Iterator[Problem]:
    """No two pods of the ingress share a worker, so that the loss of one machine is the loss of one pod."""
    ingress, workers = inventory.ingress, len(inventory.workers)
    # without any worker there is more to say, and it is said elsewhere
    if ingress and 0 < workers < ingress.replicas:
        rule = f"wants as many workers, and there are {workers}"
        yield Problem(REPLICAS, rule, f"write {workers}, or add workers", depends=(("hosts",),))


def domain(inventory: Inventory) -> Iterator[Problem]:
    """The ingress' domain is not the cluster's own, whose names only pods can resolve."""
    own = inventory.kubernetes.dns_domain
    if inventory.ingress and f".{inventory.ingress_domain}".endswith(f".{own}"):
        rule, fix = "lies in the cluster's own domain", f"write another, as {inventory.lab}.home.arpa"
        yield Problem(DOMAIN, rule, fix, others=(("kubernetes", "dns_domain"),))


RULES = (address, replicas, domain)
