"""What machines and pods ask for names: DNS servers that all know the same, and domains that are searched."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.rules.networks import PRIVATE, SHARED, SPECIAL

NAMESERVERS: Loc = ("network", "nameservers")
SEARCH: Loc = ("network", "search_domains")
DNS_DOMAIN: Loc = ("kubernetes", "dns_domain")
MOST_ASKED = 3
"""glibc, musl and the kubelet read no more (resolv.conf(5), MAXNS; kubelet, MaxDNSNameservers)."""
MOST_SEARCHED, MOST_CHARACTERS = 32, 2048
"""A kubelet tells a pod no more (MaxDNSSearchPaths and MaxDNSSearchListChars of its core validation); the
cluster's own three come first, and a namespace's name may have 63 characters."""


def nameservers(inventory: Inventory) -> Iterator[Problem]:
    """DNS servers are servers, each of them once, and as many as a resolver asks."""
    seen: dict[IPv4Address, Loc] = {}
    for index, address in enumerate(inventory.network.nameservers):
        path: Loc = (*NAMESERVERS, index)
        if address in seen:
            yield Problem(path, "stands twice", "remove one", others=(seen[address],))
        elif len(seen) >= MOST_ASKED:
            rule = f"is one more than the {MOST_ASKED} that resolvers and kubelets ask (resolv.conf(5))"
            yield Problem(path, rule, "remove it")
        seen.setdefault(address, path)
        if any(address in special for special in SPECIAL):
            yield Problem(path, "is no server's address", f"write {inventory.network.gateway}")


def one_view(inventory: Inventory) -> Iterator[Problem]:
    """DNS servers of the LAN and public ones are not mixed: any of them may be asked, and only some know it.

    CoreDNS chooses among the machine's servers at random (plugin forward, policy random), systemd-resolved
    stays with one until it fails, and an answer that there is no such name is an answer.
    """
    near: list[Loc] = []
    far: list[Loc] = []
    for index, address in enumerate(inventory.network.nameservers):
        (near if _near(inventory, address) else far).append((*NAMESERVERS, index))
    if near and far:
        rule = "is public beside one of the LAN: chance decides which is asked, and so which names are known"
        fix = "write servers of the LAN alone, which ask the public ones themselves"
        yield Problem(far[0], rule, fix, others=(near[0],), depends=(NAMESERVERS,), warning=True)


def _near(inventory: Inventory, address: IPv4Address) -> bool:
    """Whether a server stands on this side of the router."""
    network = inventory.network
    own = (network.lan, *([network.management] if network.management else []))
    return any(address in net for net in (*own, *PRIVATE, SHARED))


def search_domains(inventory: Inventory) -> Iterator[Problem]:
    """Domains that are searched stand there once; the cluster's own is none: pods alone resolve its names."""
    seen: dict[str, Loc] = {}
    own = inventory.kubernetes.dns_domain
    for index, name in enumerate(inventory.network.search_domains):
        path: Loc = (*SEARCH, index)
        within = f".{name}".endswith(f".{own}")
        if name in seen:
            yield Problem(path, "stands twice", "remove one", others=(seen[name],))
        if within:
            fix = "remove it: pods search there in any case"
            yield Problem(path, "lies in the cluster's own domain", fix, others=(DNS_DOMAIN,))
        if name not in seen and not within:  # what is to be removed needs no better name
            yield from multicast(path, name)
        seen.setdefault(name, path)


def search_list(inventory: Inventory) -> Iterator[Problem]:
    """Domains that are searched fit into a pod's list with the cluster's own three: 32, and 2048 characters.

    What is beyond a limit the kubelet leaves out, with an event of the pod.
    """
    own = inventory.kubernetes.dns_domain
    told = [f"{'n' * 63}.svc.{own}", f"svc.{own}", own]
    for index, name in enumerate(inventory.network.search_domains):
        told.append(name)
        length = len(" ".join(told))
        if len(told) > MOST_SEARCHED:
            rule = f"is one more than the {MOST_SEARCHED} domains that Kubernetes lets a pod search"
            rule += ", of which three are the cluster's own"
        elif length > MOST_CHARACTERS:
            rule = f"makes a pod's list {length} characters long, with the cluster's own three domains"
            rule += f"; Kubernetes takes {MOST_CHARACTERS}"
        else:
            continue
        fix = "remove it and what stands behind it, or others"
        yield Problem((*SEARCH, index), rule, fix, others=(DNS_DOMAIN,))
        return


def multicast(path: Loc, name: str) -> Iterator[Problem]:
    """A warning for a domain of multicast DNS, whose names many clients never ask a server for (RFC 6762)."""
    if name == "local" or name.endswith(".local"):
        rule = "belongs to multicast DNS (RFC 6762): many clients never ask a DNS server for its names"
        fix = f"write {name.removesuffix('local').rstrip('.') or 'lab'}.home.arpa, or a domain of yours"
        yield Problem(path, rule, fix, warning=True)


RULES = (nameservers, one_view, search_domains, search_list)
