"""Layer services: addresses of load-balanced services, asked from outside the nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address

import pytest

from addons.metallb.exclusion import exclude, include, include_all
from addons.metallb.section import MetalLB
from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.objects import HTTP, UDP, address_of, deployment, service
from lab.checks.outcomes import CouldNotTell, NotPartOfLab
from lab.checks.outside import Answer, arp_owners, forget_neighbour, http_get, udp
from lab.checks.verbs import Refused, agrees, becomes, holds, nothing, staying, stays, succeeds
from lab.checks.workspace import Object, Workspace, is_ready, workspace

STABLE_SECONDS = 5
REQUESTS = 50
CONTROLLER_RESTARTS = 5


@dataclass(frozen=True)
class Web:
    """A service before echo servers on the workers, and its address."""

    space: Workspace
    address: str
    seconds: float
    """Time from the creation of the service to its address."""

    @property
    def driver(self) -> Driver:
        """How to look at the lab."""
        return self.space.driver


@pytest.fixture(scope="session")
def web(driver: Driver) -> Iterator[Web]:
    """Two echo servers (on two workers where there are two) behind one load-balanced service."""
    include_all(driver)
    with workspace(driver, "web") as space:
        space.create("deployments", deployment("web", space.probe_image, 2))
        space.await_pods("web", 2)
        begun = time.monotonic()
        space.create("services", service("web", "web"))
        address = space.await_address("web")
        yield Web(space, address, time.monotonic() - begun)


def ask(web: Web) -> Answer:
    """One request from outside; an answer that is not 200 is a refusal."""
    answer = http_get(web.address, 80)
    if answer.status != 200:
        raise Refused(f"http://{web.address}/: status {answer.status}")
    return answer


def events_of(space: Workspace, kind: str, name: str) -> list[Object]:
    """Events about an object."""
    selector = f"involvedObject.kind%3D{kind}%2CinvolvedObject.name%3D{name}"
    return space.driver.cluster.items(f"{space.core}/events?fieldSelector={selector}")


def announcer(space: Workspace, name: str) -> str:
    """Node that announces a service's address by its ServiceL2Status, "" when there is none."""
    path = "/apis/metallb.io/v1beta1/servicel2statuses"
    nodes = {
        item["status"].get("node", "")
        for item in space.driver.cluster.items(path)
        if item.get("status", {}).get("serviceName") == name
        and item["status"].get("serviceNamespace") == space.name
    }
    if len(nodes) > 1:
        return ", ".join(sorted(nodes))
    return nodes.pop() if nodes else ""


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


@pytest.mark.check("L3-02")
def test_a_service_answers_outside_the_nodes(web: Web) -> None:
    """The service's address answers HTTP from outside the nodes, with the expected body."""
    forget_neighbour(web.driver.here, web.address)
    command = f"curl -m 2 http://{web.address}/"
    answer = succeeds(f"http://{web.address}/", lambda: ask(web), within=10, command=command).json()
    holds("body", str(answer.get("pod", "")).startswith("web-"), expected="an echo of pod web-…", seen=answer)


@pytest.mark.check("L3-03")
def test_one_node_owns_the_address(web: Web) -> None:
    """Exactly one MAC answers ARP, it is the announcing node's, and both stay so."""
    inventory, driver = web.driver.inventory, web.driver
    command = f"arping -I {driver.here.interface} {web.address}"
    node = becomes(
        "announcing node in ServiceL2Status",
        lambda: announcer(web.space, "web"),
        lambda name: name in inventory.nodes,
        within=20,
        expected="one node of the inventory",
        command="kubectl get servicel2statuses -A",
    )
    becomes(
        f"who answers ARP for {web.address}",
        lambda: owner_hosts(driver, web.address),
        lambda seen: seen == [node],
        within=10,
        expected=f"only {node}",
        command=command,
    )
    stays(
        f"who answers ARP for {web.address}, and the announcing node",
        lambda: (owner_hosts(driver, web.address), announcer(web.space, "web")),
        lambda state: state == ([node], node),
        seconds=STABLE_SECONDS,
        expected=node,
        command=command,
    )


def owner_hosts(driver: Driver, address: str) -> list[str]:
    """Machines that answer ARP for an address; a stranger is shown by its MAC."""
    known = {facts_mac(driver, name): name for name in driver.inventory.hosts}
    return sorted(
        known.get(mac, f"{mac}, not one of our machines") for mac in arp_owners(driver.here, address)
    )


def facts_mac(driver: Driver, host: str) -> str:
    """MAC of a host's LAN interface; its name stands for one that cannot be told."""
    try:
        link = driver.facts.get(host).link_of(str(driver.inventory.hosts[host].address))
    except CouldNotTell:
        return host
    return str(link["mac"]) if link else host


@pytest.mark.check("L3-03")
def test_the_announcement_ends_with_the_service(web: Web) -> None:
    """When a service is deleted its ServiceL2Status goes, and nobody answers ARP for its address."""
    space = web.space
    space.create("services", service("gone", "web"))
    address = space.await_address("gone")
    becomes(
        "announcement of the service", lambda: announcer(space, "gone"), bool, within=20, expected="by a node"
    )
    space.driver.cluster.delete(f"{space.core}/services/gone")
    becomes(
        "announcement after the service was deleted",
        lambda: announcer(space, "gone"),
        lambda node: not node,
        within=20,
        expected="none",
        command="kubectl get servicel2statuses -A",
    )
    becomes(
        f"who answers ARP for {address} after the service was deleted",
        lambda: arp_owners(space.driver.here, address, seconds=0.5, asked=1),
        lambda owners: not owners,
        within=10,
        expected="nobody",
        command=f"arping -I {space.driver.here.interface} {address}",
    )


@pytest.mark.check("L3-05")
def test_requests_are_spread_over_pods(web: Web) -> None:
    """Under policy Cluster several pods answer 50 requests, and none fails."""
    pods: dict[str, int] = {}
    problems: list[str] = []
    for _ in range(REQUESTS):
        try:
            pod = str(ask(web).json().get("pod"))
            pods[pod] = pods.get(pod, 0) + 1
        except Refused as error:
            problems.append(str(error))
    nothing(
        f"requests of {REQUESTS} that failed", problems, rule="none", command=f"curl http://{web.address}/"
    )
    holds("pods that answered", len(pods) > 1, expected="more than one", seen=pods)


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


@pytest.mark.check("L3-04")
@pytest.mark.check("L3-24")
def test_policy_local_keeps_traffic_on_the_announcing_node(web: Web) -> None:
    """Under policy Local the announcing node's own pod answers, and sees the client's address."""
    space, driver = web.space, web.driver
    space.create("services", service("local", "web", externalTrafficPolicy="Local"))
    address = space.await_address("local")
    (node,) = becomes(
        f"who answers ARP for {address}",
        lambda: owner_hosts(driver, address),
        lambda seen: len(seen) == 1,
        within=20,
        expected="one node with an endpoint",
        command=f"arping -I {driver.here.interface} {address}",
    )
    nodes = sorted({pod["spec"]["nodeName"] for pod in space.pods("web")})
    holds("announcing node", node in nodes, expected=f"one of {', '.join(nodes)}", seen=node)
    succeeds(f"http://{address}/", lambda: http_get(address, 80), within=10)
    answers = [http_get(address, 80).json() for _ in range(5)]
    agrees("nodes of the pods that answer", {str(a["node"]) for a in answers}, {node})
    clients = {str(a["client"]).rpartition(":")[0] for a in answers}
    agrees("client as the pod sees it", clients, {str(driver.here.address)})


@pytest.mark.check("L3-24")
def test_policy_cluster_hides_the_client(web: Web) -> None:
    """Under policy Cluster a pod sees a node's address as its client, never a stranger's."""
    inventory = web.driver.inventory
    seen = {str(ask(web).json()["client"]).rpartition(":")[0] for _ in range(20)}
    pods = inventory.kubernetes.pod_subnet
    allowed = {str(inventory.hosts[name].address) for name in inventory.nodes}
    strangers = {a for a in seen if a not in allowed and IPv4Address(a) not in pods}
    nothing("clients that are no node", strangers, rule="none: the announcing node stands for the client")


@pytest.mark.check("L3-06")
def test_one_address_serves_tcp_and_udp(web: Web) -> None:
    """One service answers HTTP on a TCP port and echoes datagrams on a UDP port of the same address."""
    ports = [
        {"name": "http", "port": 80, "targetPort": HTTP, "protocol": "TCP"},
        {"name": "udp", "port": 80, "targetPort": UDP, "protocol": "UDP"},
    ]
    web.space.create("services", service("mixed", "web", ports=ports))
    address = web.space.await_address("mixed")
    succeeds(f"http://{address}/", lambda: http_get(address, 80), within=15)
    answer = succeeds(f"udp://{address}:80", lambda: udp(address, 80, "plumbline"), within=15)
    holds("echo over UDP", "plumbline" in answer, expected="the text that was sent", seen=answer)


@pytest.mark.check("L3-18")
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
            (pod,) = [
                item for item in driver.cluster.items(selector) if "deletionTimestamp" not in item["metadata"]
            ]
            name = pod["metadata"]["name"]
            driver.cluster.delete(f"{path}/{name}")
            becomes("a new controller", partial(replaced, name), bool, within=60, expected="Ready")
            stays(
                "address and answer of the service",
                state,
                lambda seen: seen[0] == web.address,
                seconds=5,
                expected=web.address,
            )


@pytest.mark.check("L3-16")
def test_an_excluded_node_stops_announcing(web: Web) -> None:
    """A node excluded from load balancers hands its address to another within a minute, and back."""
    driver = web.driver
    if len(driver.inventory.workers) < 2:
        raise NotPartOfLab("hosts", "one worker alone cannot hand an address to another")
    command = f"arping -I {driver.here.interface} {web.address}"

    def owners() -> list[str]:
        return owner_hosts(driver, web.address)

    (before,) = becomes(
        "who answers ARP",
        owners,
        lambda seen: len(seen) == 1,
        within=20,
        expected="one machine",
        command=command,
    )
    others = [name for name in driver.inventory.workers if name != before]
    # judged by who answers: ServiceL2Status of MetalLB 0.15.2 can keep the old node for ever, because its
    # node is immutable and the new node's speaker takes the object over before the old one has removed it
    try:
        exclude(driver, before)
        becomes(
            f"who answers ARP after {before} was excluded",
            owners,
            lambda seen: len(seen) == 1 and seen[0] in others,
            within=60,
            expected=f"one of {', '.join(others)}",
            command=command,
        )
        succeeds(f"http://{web.address}/", lambda: ask(web), within=10)
        include(driver, before)
        for node in others:
            exclude(driver, node)
        becomes(
            f"who answers ARP after all but {before} were excluded",
            owners,
            lambda seen: seen == [before],
            within=60,
            expected=before,
            command=command,
        )
        succeeds(f"http://{web.address}/", lambda: ask(web), within=10)
    finally:
        include_all(driver)
