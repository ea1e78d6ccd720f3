"""Layer services: which service gets which address, and keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address

import pytest

from addons.metallb.exclusion import include_all
from addons.metallb.section import MetalLB
from addons.metallb.web import Web, web_service
from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.objects import HTTP, UDP, address_of, deployment, service
from lab.checks.outcomes import NotPartOfLab
from lab.checks.outside import http_get, udp
from lab.checks.verbs import Refused, agrees, becomes, holds, staying, stays, succeeds
from lab.checks.workspace import Workspace
from lab.objects import Object, is_ready
from lab.verify.fixtures import addresses_stay

CONTROLLER_RESTARTS = 5
DATAGRAMS = 12
"""Each comes from a port of its own, so to a pod of its own: of two, one is left out once in 4,096 runs."""
CONTROLLERS = "kubectl -n metallb-system get pods -l component=controller"


@pytest.fixture(scope="session")
def web(driver: Driver, request: pytest.FixtureRequest) -> Iterator[Web]:
    """A service and its address. What a crashed run excluded announces again, once nobody else excludes."""
    with addresses_stay(request.config):
        include_all(driver)
    with web_service(driver, "web") as made:
        yield made


@pytest.mark.check("L3-01")
def test_a_service_gets_an_address_of_a_pool(web: Web, measure: Measure) -> None:
    """A new service of type LoadBalancer has an address of a pool in time, with an event of its node."""
    inventory = web.driver.inventory
    limit = inventory.thresholds.address_seconds
    measure("time to the address of a service", web.seconds, "s", limit)
    pools = [
        addresses
        for pool in inventory.section(MetalLB).pools
        if pool.auto_assign
        for addresses in pool.addresses
    ]
    inside = any(IPv4Address(web.address) in addresses for addresses in pools)
    holds("address", inside, expected=f"in {', '.join(map(str, pools))}", seen=web.address)
    becomes(
        "event nodeAssigned of the service",
        lambda: [event["message"] for event in events_of(web.space, "Service", "web")],
        lambda messages: any(node in text for text in messages for node in inventory.nodes),
        within=15,
        expected="one that names a node",
        command=f"kubectl -n {web.space.name} describe service web",
    )


def events_of(space: Workspace, kind: str, name: str) -> list[Object]:
    """Events about an object."""
    selector = f"involvedObject.kind%3D{kind}%2CinvolvedObject.name%3D{name}"
    return space.driver.cluster.items(f"{space.core}/events?fieldSelector={selector}")


@pytest.mark.check("L3-08")
def test_a_requested_address_is_honoured_or_refused(web: Web) -> None:
    """A free address asked for is given exactly; a taken one or one outside all pools stays pending."""
    space, inventory = web.space, web.driver.inventory
    key = "metallb.io/loadBalancerIPs"
    last = str(inventory.section(MetalLB).pools[0].addresses[-1].last)

    def make(name: str, address: str) -> None:
        item = service(name, "web")
        item["metadata"]["annotations"] = {key: address}
        space.create("services", item)

    make("wanted", last)
    agrees("address asked for", space.await_address("wanted"), last)
    make("taken", last)
    outside = str(inventory.network.lan.network_address + 200)
    if any(IPv4Address(outside) in a for pool in inventory.section(MetalLB).pools for a in pool.addresses):
        raise NotPartOfLab("metallb.pools", f"the pools of this lab hold {outside}")
    make("outside", outside)
    for name in ("taken", "outside"):
        becomes(
            f"warnings about service {name}",
            partial(warnings_of, space, name),
            bool,
            within=20,
            expected="one that says why there is no address",
            command=f"kubectl -n {space.name} describe service {name}",
        )
        given = address_of(space.driver.cluster.get(f"{space.core}/services/{name}"))
        agrees(f"address of service {name}", given, "")


def warnings_of(space: Workspace, name: str) -> list[str]:
    """Warnings about a service."""
    return [event["message"] for event in events_of(space, "Service", name) if event["type"] == "Warning"]


@pytest.mark.check("L3-15")
def test_a_foreign_load_balancer_class_is_left_alone(web: Web) -> None:
    """A service of another load balancer class gets no address for ten seconds."""
    space = web.space
    space.create("services", service("foreign", "web", loadBalancerClass="example.com/other"))
    stays(
        "address of a service of class example.com/other",
        lambda: address_of(space.driver.cluster.get(f"{space.core}/services/foreign")),
        lambda address: not address,
        seconds=10,
        expected="none",
    )


@pytest.mark.check("L3-06")
def test_one_address_serves_tcp_and_udp(web: Web) -> None:
    """One service answers HTTP on a TCP port and echoes datagrams on a UDP port of the same address.

    Whichever of its pods a datagram comes to.
    """
    ports = [
        {"name": "http", "port": 80, "targetPort": HTTP, "protocol": "TCP"},
        {"name": "udp", "port": 80, "targetPort": UDP, "protocol": "UDP"},
    ]
    web.space.create("services", service("mixed", "web", ports=ports))
    address = web.space.await_address("mixed")
    succeeds(f"http://{address}/", lambda: http_get(address, 80), within=15)
    ask = partial(udp, address, 80, "plumbline")
    answer = succeeds(f"udp://{address}:80", ask, within=15)
    holds("echo over UDP", "plumbline" in answer, expected="the text that was sent", seen=answer)
    for number in range(DATAGRAMS):
        succeeds(f"udp://{address}:80, client {number + 1} of {DATAGRAMS}", ask)


@pytest.mark.check("L3-18")
@pytest.mark.usefixtures("announcer")
def test_a_service_keeps_its_promises_while_its_type_changes(web: Web) -> None:
    """ClusterIP, NodePort, LoadBalancer and back: each answers as its type says; without pods, none."""
    space, driver = web.space, web.driver
    space.create("deployments", deployment("turn", space.probe_image, 1))
    space.await_pods("turn", 1)
    path = f"{space.core}/services/turn"
    made = space.create("services", service("turn", "turn", kind="ClusterIP"))
    cluster_address = made["spec"]["clusterIP"]

    made = driver.cluster.request("PATCH", path, {"spec": {"type": "NodePort"}})
    node_port = made["spec"]["ports"][0]["nodePort"]
    for name in driver.inventory.workers[:2]:
        node = str(driver.inventory.hosts[name].address)
        succeeds(f"http://{node}:{node_port}/", partial(http_get, node, node_port), within=15, host=name)

    driver.cluster.request("PATCH", path, {"spec": {"type": "LoadBalancer"}})
    address = space.await_address("turn")
    succeeds(f"http://{address}/", partial(http_get, address, 80), within=15)
    made = driver.cluster.get(path) or {}
    agrees("cluster address", made["spec"]["clusterIP"], cluster_address)
    agrees("NodePort", made["spec"]["ports"][0]["nodePort"], node_port)

    driver.cluster.request("PATCH", f"{space.apps}/deployments/turn", {"spec": {"replicas": 0}})
    becomes(
        f"http://{address}/ without an endpoint",
        lambda: refusal(address),
        lambda said: "status" not in said,
        within=30,
        expected="refused, or no answer; never another service's",
    )
    driver.cluster.request("PATCH", path, {"spec": {"type": "ClusterIP"}})
    becomes(
        "address of the service after it became a ClusterIP",
        lambda: address_of(driver.cluster.get(path)),
        lambda given: not given,
        within=20,
        expected="none",
        command=f"kubectl -n {space.name} describe service turn",
    )


def refusal(address: str) -> str:
    """Why an address does not answer; its status and body when it does."""
    try:
        answer = http_get(address, 80)
    except Refused as error:
        return str(error)
    return f"status {answer.status}: {answer.body[:200]}"


@pytest.mark.check("L3-13")
@pytest.mark.usefixtures("announcer")
def test_an_address_survives_restarts_of_the_controller(web: Web) -> None:
    """The controller's pod is deleted five times; the service keeps its address and answers."""
    driver = web.driver
    path = "/api/v1/namespaces/metallb-system/pods"
    selector = f"{path}?labelSelector=component%3Dcontroller"

    def replaced(old: str) -> bool:
        pods = [pod for pod in driver.cluster.items(selector) if pod["metadata"]["name"] != old]
        return any(is_ready(pod) for pod in pods)

    def state() -> tuple[str, str]:
        return address_of(driver.cluster.get(f"{web.space.core}/services/web")), refusal(web.address)[:10]

    with staying(
        "address and answer of the service",
        state,
        lambda seen: seen == (web.address, "status 200"),
        expected=f"{web.address}, status 200",
    ):
        for _ in range(CONTROLLER_RESTARTS):
            living = [
                item for item in driver.cluster.items(selector) if "deletionTimestamp" not in item["metadata"]
            ]
            agrees("controllers of MetalLB", len(living), 1, command=CONTROLLERS)
            name = living[0]["metadata"]["name"]
            driver.cluster.delete(f"{path}/{name}")
            becomes("a new controller", partial(replaced, name), bool, within=60, expected="Ready")
            stays(
                "address and answer of the service",
                state,
                lambda seen: seen[0] == web.address,
                seconds=5,
                expected=web.address,
            )
