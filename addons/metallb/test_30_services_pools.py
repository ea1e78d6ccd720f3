"""Layer services: which address a service gets, from which pool, and with whom it may share it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from addons.metallb.client import free_addresses, pool, remove_pools
from addons.metallb.section import MetalLB
from lab.checks.driver import Driver
from lab.checks.metrics import samples, value
from lab.checks.objects import address_of, deployment, service
from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import arp_owners, http_get
from lab.checks.verbs import Refused, agrees, becomes, holds, nothing, stays
from lab.checks.workspace import Workspace, workspace
from lab.render.firewall import port_of

POOL_KEY = "metallb.io/address-pool"
ADDRESS_KEY = "metallb.io/loadBalancerIPs"
SHARE_KEY = "metallb.io/allow-shared-ip"
PENDING_SECONDS = 5.0
METRICS = "MetalLB's metrics"
"""Name of the port."""


@pytest.fixture(scope="session")
def space(driver: Driver) -> Iterator[Workspace]:
    """A namespace with an echo server, and no pool of an earlier run."""
    remove_pools(driver)
    with workspace(driver, "pools") as made:
        made.create("deployments", deployment("web", made.probe_image, 1))
        made.await_pods("web", 1)
        yield made


def make(
    space: Workspace, name: str, *, port: int = 80, annotations: dict[str, str] | None = None, **spec: str
) -> None:
    """A service of type LoadBalancer with annotations for MetalLB."""
    item = service(name, "web", port=port, **spec)
    item["metadata"]["annotations"] = annotations or {}
    space.create("services", item)


def address(space: Workspace, name: str) -> str:
    """Address of a service, "" while it has none."""
    return address_of(space.driver.cluster.get(f"{space.core}/services/{name}"))


def gets(space: Workspace, name: str, *, one_of: list[str] | None = None) -> str:
    """The address that a service gets in time."""
    return becomes(
        f"address of service {name}",
        partial(address, space, name),
        lambda seen: bool(seen) if one_of is None else seen in one_of,
        within=space.driver.inventory.thresholds.address_seconds,
        expected=", ".join(one_of) if one_of else "one of a pool",
        command=f"kubectl -n {space.name} describe service {name}",
    )


def stays_pending(space: Workspace, name: str) -> None:
    """A service gets no address for a while, and an event says why."""
    stays(
        f"address of service {name}",
        partial(address, space, name),
        lambda seen: not seen,
        seconds=PENDING_SECONDS,
        expected="none",
        command=f"kubectl -n {space.name} describe service {name}",
    )
    becomes(
        f"warnings about service {name}",
        partial(warnings_of, space, name),
        bool,
        within=20,
        expected="one that says why there is no address",
        command=f"kubectl -n {space.name} describe service {name}",
    )


def warnings_of(space: Workspace, name: str) -> list[str]:
    """Warnings about a service."""
    selector = f"involvedObject.kind%3DService%2CinvolvedObject.name%3D{name}"
    events = space.driver.cluster.items(f"{space.core}/events?fieldSelector={selector}")
    return [event["message"] for event in events if event["type"] == "Warning"]


def remove(space: Workspace, *names: str) -> None:
    """Delete services, and wait until they are gone."""
    for name in names:
        path = f"{space.core}/services/{name}"
        space.driver.cluster.delete(path)
        becomes(
            f"service {name}",
            partial(space.driver.cluster.get, path),
            lambda item: item is None,
            within=30,
            expected="gone",
        )


@pytest.mark.check("L3-07")
@pytest.mark.check("L3-09")
def test_an_exhausted_pool_keeps_services_waiting(driver: Driver, space: Workspace) -> None:
    """A pool of one address serves one service; the next waits, is told why, and gets it when it is free."""
    only = free_addresses(driver, 1)
    with pool(driver, "verify-single", only) as name:
        make(space, "first", annotations={POOL_KEY: name})
        gets(space, "first", one_of=only)
        make(space, "second", annotations={POOL_KEY: name})
        stays_pending(space, "second")
        remove(space, "first")
        gets(space, "second", one_of=only)
        remove(space, "second")


@pytest.mark.check("L3-10")
def test_a_pool_for_requests_only_is_not_used_by_default(driver: Driver, space: Workspace) -> None:
    """A plain service never gets an address of a pool that is handed out on request only."""
    reserved = free_addresses(driver, 1)
    with pool(driver, "verify-reserved", reserved):
        make(space, "plain")
        given = gets(space, "plain")
        holds("address of a plain service", given not in reserved, expected=f"not {reserved[0]}", seen=given)
        remove(space, "plain")


@pytest.mark.check("L3-11")
@pytest.mark.check("L3-12")
def test_two_services_share_an_address_by_key(driver: Driver, space: Workspace) -> None:
    """Same key and different ports share one address, announced by one machine; anything else is refused."""
    key = {SHARE_KEY: "same"}
    make(space, "a", port=80, annotations=key)
    shared = gets(space, "a")
    at = {ADDRESS_KEY: shared}
    make(space, "b", port=81, annotations=key | at)
    gets(space, "b", one_of=[shared])
    for port in (80, 81):
        becomes(
            f"http://{shared}:{port}/",
            partial(status_of, shared, port),
            lambda seen: seen == "200",
            within=15,
            expected="200",
            command=f"curl http://{shared}:{port}/",
        )
    becomes(
        f"machines that answer ARP for {shared}",
        lambda: sorted(arp_owners(driver.lan_interface, shared)),
        lambda owners: len(owners) == 1,
        within=15,
        expected="one",
        command=f"arping -I {driver.lan_interface.interface} {shared}",
    )
    make(space, "same-port", port=80, annotations=key | at)
    make(space, "other-key", port=82, annotations=at | {SHARE_KEY: "other"})
    make(space, "no-key", port=83, annotations=at)
    for name in ("same-port", "other-key", "no-key"):
        stays_pending(space, name)
    remove(space, "a", "b", "same-port", "other-key", "no-key")


def status_of(address: str, port: int) -> str:
    """HTTP status of an address, or why there is none."""
    try:
        return str(http_get(address, port).status)
    except Refused as error:
        return str(error)


@pytest.mark.check("L3-14")
def test_a_removed_pool_leaves_no_second_owner(driver: Driver, space: Workspace) -> None:
    """When a service's pool is removed it gets an address of another pool, and nobody keeps the old one."""
    old = free_addresses(driver, 1)
    with pool(driver, "verify-leaving", old):
        make(space, "moving", annotations={ADDRESS_KEY: old[0]})
        gets(space, "moving", one_of=old)
        # asked for by address: without the wish the service may go to any pool
        driver.cluster.request(
            "PATCH", f"{space.core}/services/moving", {"metadata": {"annotations": {ADDRESS_KEY: None}}}
        )
    becomes(
        "address of the service after its pool was removed",
        partial(address, space, "moving"),
        lambda seen: bool(seen) and seen not in old,
        within=driver.inventory.thresholds.address_seconds,
        expected=f"another than {old[0]}",
        command=f"kubectl -n {space.name} describe service moving",
    )
    becomes(
        f"who answers ARP for {old[0]}",
        lambda: sorted(arp_owners(driver.lan_interface, old[0])),
        lambda owners: not owners,
        within=20,
        expected="nobody",
        command=f"arping -I {driver.lan_interface.interface} {old[0]}",
    )
    remove(space, "moving")


@pytest.mark.check("L3-17")
@pytest.mark.each("nodes")
def test_the_speaker_has_loaded_its_configuration(driver: Driver, host: str) -> None:
    """The node's speaker says that its configuration is loaded and not stale."""
    # asked on the machine itself: its firewall shows the metrics to nodes alone
    url = f"http://{driver.inventory.hosts[host].address}:{port_of(driver.inventory, METRICS)}/metrics"
    metrics = driver.page(host, url)
    wanted = {"metallb_k8s_client_config_loaded_bool": 1.0, "metallb_k8s_client_config_stale_bool": 0.0}
    seen = {name: value(metrics, name) for name in wanted}
    if None in seen.values():
        raise CouldNotTell(f"{host}: the speaker's metrics hold no state of its configuration")
    agrees(f"speaker on {host}", seen, wanted, command=f"curl {url}", host=host)


@pytest.mark.check("L3-17")
def test_the_pools_have_room(driver: Driver) -> None:
    """No pool of the inventory is used up: more than one address is free in each."""
    pods = driver.cluster.items("/api/v1/namespaces/metallb-system/pods?labelSelector=component%3Dcontroller")
    running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
    if not running:
        raise CouldNotTell("no controller of MetalLB runs", next_step="kubectl -n metallb-system get pods")
    url = f"http://{running[0]['status']['podIP']}:{port_of(driver.inventory, METRICS)}/metrics"
    text = driver.page(running[0]["spec"]["nodeName"], url)
    total = {labels["pool"]: number for labels, number in samples(text, "metallb_allocator_addresses_total")}
    used = {
        labels["pool"]: number for labels, number in samples(text, "metallb_allocator_addresses_in_use_total")
    }
    names = [item.name for item in driver.inventory.section(MetalLB).pools]
    missing = [name for name in names if name not in total]
    nothing(
        "pools that MetalLB does not know",
        missing,
        rule="none",
        command="kubectl -n metallb-system get ipaddresspools",
    )
    full = {
        name: f"{used.get(name, 0):g} of {total[name]:g}"
        for name in names
        if used.get(name, 0) >= total[name] - 1
    }
    nothing("pools that are used up", full, rule="two addresses free at least")
