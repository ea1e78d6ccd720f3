"""Layer services: who announces an address, and whose pods answer at it, asked from outside the nodes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from addons.metallb.exclusion import exclude, include, include_all
from addons.metallb.web import Web, ask, first_answer, web_service
from lab.checks.driver import Driver
from lab.checks.objects import service
from lab.checks.outcomes import CouldNotTell, NotPartOfLab
from lab.checks.outside import address_owners, arp_owners, http_get
from lab.checks.verbs import Refused, agrees, becomes, holds, nothing, stays, succeeds
from lab.checks.workspace import Workspace
from lab.verify.fixtures import addresses_stay

STABLE_SECONDS = 5
REQUESTS = 50
ANSWER_SECONDS = 10


@pytest.fixture(scope="session")
def web(driver: Driver, request: pytest.FixtureRequest) -> Iterator[Web]:
    """A service and its address. What a crashed run excluded announces again, once nobody else excludes."""
    with addresses_stay(request.config):
        include_all(driver)
    with web_service(driver, "announced") as made:
        yield made


@pytest.mark.check("L3-02")
def test_a_service_answers_outside_the_nodes(web: Web) -> None:
    """The service's address answers HTTP from outside the nodes, with the expected body."""
    answer = first_answer(web).json()
    holds("body", str(answer.get("pod", "")).startswith("web-"), expected="an echo of pod web-…", seen=answer)


def announcing_node(space: Workspace, name: str) -> str:
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


def owner_hosts(driver: Driver, address: str) -> list[str]:
    """Machines that answer ARP for an address; a stranger is shown by its MAC."""
    known = {facts_mac(driver, name): name for name in driver.inventory.hosts}
    return sorted(
        known.get(mac, f"{mac}, not one of our machines")
        for mac in address_owners(driver.lan_interface, address)
    )


def facts_mac(driver: Driver, host: str) -> str:
    """MAC of a host's LAN interface; its name stands for one that cannot be told."""
    try:
        link = driver.facts.get(host).link_of(str(driver.inventory.hosts[host].address))
    except CouldNotTell:
        return host
    return str(link.mac) if link else host


@pytest.mark.check("L3-03")
def test_one_node_owns_the_address(web: Web) -> None:
    """Exactly one MAC answers ARP, it is the announcing node's, and both stay so."""
    inventory, driver = web.driver.inventory, web.driver
    command = f"arping -I {driver.lan_interface.interface} {web.address}"
    node = becomes(
        "announcing node in ServiceL2Status",
        lambda: announcing_node(web.space, "web"),
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
        lambda: (owner_hosts(driver, web.address), announcing_node(web.space, "web")),
        lambda state: state == ([node], node),
        seconds=STABLE_SECONDS,
        expected=node,
        command=command,
    )


@pytest.mark.check("L3-03")
def test_the_announcement_ends_with_the_service(web: Web) -> None:
    """When a service is deleted its ServiceL2Status goes, and nobody answers ARP for its address."""
    space = web.space
    space.create("services", service("gone", "web"))
    address = space.await_address("gone")
    becomes(
        "announcement of the service",
        lambda: announcing_node(space, "gone"),
        bool,
        within=20,
        expected="by a node",
    )
    space.driver.cluster.delete(f"{space.core}/services/gone")
    becomes(
        "announcement after the service was deleted",
        lambda: announcing_node(space, "gone"),
        lambda node: not node,
        within=20,
        expected="none",
        command="kubectl get servicel2statuses -A",
    )
    becomes(
        f"who answers ARP for {address} after the service was deleted",
        lambda: arp_owners(space.driver.lan_interface, address, seconds=0.5, asked=1),
        lambda owners: not owners,
        within=10,
        expected="nobody",
        command=f"arping -I {space.driver.lan_interface.interface} {address}",
    )


@pytest.mark.check("L3-05")
def test_requests_are_spread_over_pods(web: Web) -> None:
    """Under policy Cluster several pods answer 50 requests, and none fails."""
    first_answer(web)
    pods: dict[str, int] = {}
    problems: list[str] = []
    for _ in range(REQUESTS):
        try:
            # a busy machine may be slow, which other rows measure
            pod = str(ask(web, seconds=ANSWER_SECONDS).json().get("pod"))
            pods[pod] = pods.get(pod, 0) + 1
        except Refused as error:
            problems.append(str(error))
    nothing(
        f"requests of {REQUESTS} that failed", problems, rule="none", command=f"curl http://{web.address}/"
    )
    holds("pods that answered", len(pods) > 1, expected="more than one", seen=pods)


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
        command=f"arping -I {driver.lan_interface.interface} {address}",
    )
    nodes = sorted({pod["spec"]["nodeName"] for pod in space.pods("web")})
    holds("announcing node", node in nodes, expected=f"one of {', '.join(nodes)}", seen=node)
    succeeds(f"http://{address}/", lambda: http_get(address, 80), within=10)
    answers = [http_get(address, 80).json() for _ in range(5)]
    agrees("nodes of the pods that answer", {str(a["node"]) for a in answers}, {node})
    clients = {str(a["client"]).rpartition(":")[0] for a in answers}
    agrees("client as the pod sees it", clients, {str(driver.lan_interface.address)})


@pytest.mark.check("L3-24")
def test_policy_cluster_hides_the_client(web: Web) -> None:
    """Under policy Cluster a pod sees a node's address as its client, never a stranger's."""
    inventory = web.driver.inventory
    first_answer(web)
    seen = {str(ask(web).json()["client"]).rpartition(":")[0] for _ in range(20)}
    pods = inventory.kubernetes.pod_subnet
    allowed = {str(inventory.hosts[name].address) for name in inventory.nodes}
    strangers = {a for a in seen if a not in allowed and IPv4Address(a) not in pods}
    nothing("clients that are no node", strangers, rule="none: the announcing node stands for the client")


@pytest.mark.check("L3-16")
@pytest.mark.usefixtures("announcer")
def test_an_excluded_node_stops_announcing(web: Web) -> None:
    """A node excluded from load balancers hands its address to another within a minute, and back."""
    driver = web.driver
    if len(driver.inventory.workers) < 2:
        raise NotPartOfLab("hosts", "one worker alone cannot hand an address to another")
    command = f"arping -I {driver.lan_interface.interface} {web.address}"

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
