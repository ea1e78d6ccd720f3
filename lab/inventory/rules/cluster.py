"""The cluster: its members, the sizes of its networks and the balancer's times."""

from __future__ import annotations

from collections.abc import Iterator

from lab.inventory.models import HostRole, Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.rules.hosts import host
from lab.inventory.rules.networks import PODS, SERVICES

HOSTS: Loc = ("hosts",)
NODE_MASK: Loc = ("kubernetes", "node_mask")
API_NAMES: Loc = ("kubernetes", "api_names")
MAX_MASTERS = 7
"""More members make etcd slower and no safer (etcd FAQ, v3.5)."""


def members(inventory: Inventory) -> Iterator[Problem]:
    """One balancer, an odd number of masters, and somebody to run pods.

    The right number depends on every host's role, so nothing is said while one of them is refused.
    """
    roles = tuple(host(name, "role") for name in inventory.hosts)
    balancers, masters = inventory.named(HostRole.LOAD_BALANCER), inventory.masters
    if not balancers:
        yield Problem(
            HOSTS, "there is no load-balancer", "add a host with role: load-balancer", depends=roles
        )
    for extra in balancers[1:]:
        rule = "is a second load-balancer; the API has one address, and one host that owns it"
        yield Problem(
            host(extra, "role"), rule, "make it a worker, or remove it", others=(host(balancers[0], "role"),)
        )
    if not inventory.workers:
        yield Problem(
            HOSTS, "there is no worker, so no pod could run", "add a host with role: worker", depends=roles
        )
    yield from _masters(inventory, masters, roles)


def _masters(inventory: Inventory, masters: tuple[str, ...], roles: tuple[Loc, ...]) -> Iterator[Problem]:
    count, flag = len(masters), ("kubernetes", "single_master")
    depends = (*roles, flag)
    if count == 1 and not inventory.kubernetes.single_master:
        fix = "add two, or write kubernetes.single_master: true for an experiment"
        yield Problem(HOSTS, "1 master is no high availability", fix, depends=depends)
    elif count != 1 and inventory.kubernetes.single_master:
        yield Problem(flag, f"but there are {count} masters", "remove it", depends=roles)
    if count == 0:
        yield Problem(
            HOSTS, "there is no master", "add three hosts with role: control-plane", depends=depends
        )
    elif count % 2 == 0:
        rule = f"{count} masters: must be odd, because {count} survive no more losses than {count - 1}"
        fix = f"add one, or remove one of {', '.join(masters)}"
        yield Problem(HOSTS, rule, fix, depends=depends)
    elif count > MAX_MASTERS:
        rule = f"{count} masters: at most {MAX_MASTERS}, more make etcd slower and no safer"
        yield Problem(HOSTS, rule, "make some of them workers", depends=depends)


def master_sizes(inventory: Inventory) -> Iterator[Problem]:
    """kubeadm refuses a master with less than 2 CPUs or 1,700 MB (its preflight NumCPU and Mem)."""
    for name in inventory.masters:
        for key in ("cpus", "memory_gib"):
            if getattr(inventory.hosts[name], key) < 2:
                role = host(name, "role")
                yield Problem(host(name, key), "a master needs at least 2", "write 2 or more", others=(role,))


def subnets(inventory: Inventory) -> Iterator[Problem]:
    """kubeadm's limits for the sizes of the service and pod networks, and room for every node."""
    kubernetes = inventory.kubernetes
    services, pods, mask = (
        kubernetes.service_subnet.prefixlen,
        kubernetes.pod_subnet.prefixlen,
        kubernetes.node_mask,
    )
    if services > 28:
        yield Problem(
            SERVICES, "has fewer than 10 addresses for services", "write a network of /28 or larger"
        )
    if services < 12:
        yield Problem(SERVICES, "is larger than /12, which the API server refuses", "write a /12 or smaller")
    if pods > 28:
        yield Problem(PODS, "has fewer than 14 addresses for pods", "write a network of /28 or larger")
    if mask < pods:
        rule = f"a node's part (/{mask}) is larger than the whole pod network (/{pods})"
        yield Problem(NODE_MASK, rule, f"write {min(pods + 8, 30)}, or a larger pod network", others=(PODS,))
        return
    if mask - pods > 16:
        rule = f"is more than 16 longer than the pod network's /{pods}, which kubeadm refuses"
        yield Problem(NODE_MASK, rule, f"write {pods + 16} or less", others=(PODS,))
    parts, nodes = 1 << (mask - pods), len(inventory.nodes)
    if nodes > parts:
        rule = f"{parts} parts of /{mask} fit into the pod network, and there are {nodes} nodes"
        larger = mask - (nodes - 1).bit_length()
        yield Problem(
            PODS, rule, f"write a pod network of /{larger} or larger", others=(NODE_MASK,), depends=(HOSTS,)
        )
    room = (1 << (32 - mask)) - 2
    if kubernetes.max_pods > room:
        path: Loc = ("kubernetes", "max_pods")
        rule = f"a node's part of the pod network (/{mask}) has {room} addresses"
        yield Problem(path, rule, f"write {room} or less, or a shorter node_mask", others=(NODE_MASK,))


def balancer_times(inventory: Inventory) -> Iterator[Problem]:
    """HAProxy's times, by kubeadm's document on high availability.

    Idle connections must outlive the 30 s ping of HTTP/2 (35 s since kubeadm PR 3060), and a connection that
    cannot be made must fail while the client still waits.
    """
    times = inventory.load_balancer
    connect, idle, tunnel = (
        ("load_balancer", f"timeout_{name}_seconds") for name in ("connect", "idle", "tunnel")
    )
    if times.timeout_connect_seconds > 5:
        yield Problem(connect, "must be at most 5: a dead API server is skipped after it", "write 5")
    if times.timeout_idle_seconds < 35:
        yield Problem(idle, "must be at least 35: clients ping after 30 s of silence", "write 3600")
    if times.timeout_tunnel_seconds < times.timeout_idle_seconds:
        rule = "must not be shorter than the idle time, or watches and exec end before plain requests"
        yield Problem(tunnel, rule, f"write {max(14400, times.timeout_idle_seconds)}", others=(idle,))


def grace_period(inventory: Inventory) -> Iterator[Problem]:
    """Below 1.32 a node may have to be silent for 45 s before its client gives a dead connection up.

    30 s of read idle and 15 s of ping (kubernetes#121793); 1.32 made 50 s the default.
    """
    least = inventory.reaction.shortest_grace
    if inventory.grace_seconds < min(least, 50):
        path: Loc = ("kubernetes", "node_monitor_grace_seconds")
        rule = (
            f"must be at least {min(least, 50)}: a client may need "
            f"{inventory.reaction.dead_connection} s to leave a dead API server"
        )
        yield Problem(path, rule, f"write {min(least, 50)}")


def ways_to_api(inventory: Inventory) -> tuple[str, ...]:
    """The machines by which the API is reached: its certificates have their names and addresses."""
    return (*inventory.named(HostRole.LOAD_BALANCER), *inventory.masters)


def api_names(inventory: Inventory) -> Iterator[Problem]:
    """Names of the API stand there once, and none that its certificates have by themselves.

    Those are the names and addresses of balancer and masters, and what kubeadm adds (its pkiutil).
    """
    domain = inventory.kubernetes.dns_domain
    own: dict[str, tuple[Loc, ...]] = dict.fromkeys(
        ("127.0.0.1", *("kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}")),
        (),
    )
    for name in ways_to_api(inventory):
        own[name] = (("hosts", name),)
        own[str(inventory.hosts[name].address)] = (host(name, "address"),)
    seen: dict[str, Loc] = {}
    for index, name in enumerate(inventory.kubernetes.api_names):
        path: Loc = (*API_NAMES, index)
        if name == "localhost":
            yield Problem(path, "names every machine itself", "remove it")
        elif name in own:
            rule = "is in every certificate of the API already"
            yield Problem(path, rule, "remove it", others=own[name])
        elif name in seen:
            yield Problem(path, "stands twice", "remove it", others=(seen[name],))
        seen.setdefault(name, path)


RULES = (members, master_sizes, subnets, balancer_times, grace_period, api_names)
