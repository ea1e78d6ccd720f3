"""When the lab is healthy: rows L2-01 to L2-04. The cluster layer's first checks, and every fault's gates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lab.addons import selected
from lab.checks.driver import Driver
from lab.checks.outcomes import Mismatch
from lab.checks.outside import Answer, http_get
from lab.checks.verbs import Refused, agrees, becomes, holds, nothing, succeeds
from lab.cluster.etcd_answers import ALARMS, HASHES, MEMBERS, STATUSES, MemberStatus
from lab.inventory.models import HostRole, Inventory
from lab.objects import Object, condition
from lab.render.firewall import port_of

NODES = "kubectl get nodes -o wide"
ETCD = "etcdctl endpoint status --cluster -w table"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

IN_FLIGHT = 50
"""Revisions by which members may differ: they are asked one after the other while the cluster goes on
writing (a lab of 16 machines makes about 20 writes a second)."""


def system_namespaces(inventory: Inventory) -> list[str]:
    """The control plane's namespace and those of the lab's add-ons."""
    return sorted({"kube-system", *(name for addon in selected(inventory) for name in addon.namespaces)})


def system_pods(driver: Driver) -> list[Object]:
    """The pods of those namespaces."""
    spaces = system_namespaces(driver.inventory)
    return [pod for space in spaces for pod in driver.cluster.items(f"/api/v1/namespaces/{space}/pods")]


def nodes(driver: Driver) -> None:
    """The nodes are exactly the inventory's, Ready, with the right role, architecture and address."""
    found = {item["metadata"]["name"]: item for item in driver.cluster.items("/api/v1/nodes")}
    agrees("names of the nodes", sorted(found), sorted(driver.inventory.nodes), command=NODES)
    for name in driver.inventory.nodes:
        host, item = driver.inventory.hosts[name], found[name]
        labels, status = item["metadata"]["labels"], item["status"]
        ready = condition(item, "Ready")
        holds(
            f"node {name}: Ready",
            ready.get("status") == "True",
            expected="True",
            seen=f"{ready.get('status', 'no condition')}: {ready.get('message', '')}",
            command=f"kubectl describe node {name}",
            host=name,
        )
        agrees(
            f"node {name}: label {CONTROL_PLANE}",
            CONTROL_PLANE in labels,
            host.role is HostRole.CONTROL_PLANE,
            command=f"kubectl get node {name} --show-labels",
            host=name,
        )
        agrees(f"node {name}: architecture", labels.get("kubernetes.io/arch"), host.arch.value, host=name)
        wrong = {key: labels.get(key) for key, value in host.labels.items() if labels.get(key) != value}
        nothing(f"node {name}: labels", wrong, rule=f"as in the inventory: {dict(host.labels)}", host=name)
        addresses = [entry["address"] for entry in status["addresses"] if entry["type"] == "InternalIP"]
        agrees(f"node {name}: address", addresses, [str(host.address)], command=NODES, host=name)


def ready_since(driver: Driver) -> dict[str, tuple[str, str]]:
    """Each node's Ready condition and when it last changed: no change between two looks is missed."""
    items = driver.cluster.items("/api/v1/nodes")
    found = {item["metadata"]["name"]: condition(item, "Ready") for item in items}
    return {name: (ready["status"], ready["lastTransitionTime"]) for name, ready in found.items() if ready}


def lease(driver: Driver, name: str) -> dict[str, Any]:
    """What a lease of the control plane says; empty while there is none."""
    spec: dict[str, Any] = (driver.cluster.get(f"{LEASES}/{name}") or {}).get("spec", {})
    return spec


def holder_of(spec: Mapping[str, Any]) -> str:
    """The host that holds a lease, "" for nobody."""
    return str(spec.get("holderIdentity") or "").partition("_")[0]


def ready_answer(driver: Driver, host: str) -> Answer:
    """What /readyz says, asked of a master directly or through the balancer."""
    address, port = str(driver.inventory.hosts[host].address), driver.inventory.kubernetes.api_port
    return http_get(address, port, "/readyz?verbose", tls=driver.cluster.tls, seconds=10)


def readyz(driver: Driver) -> None:
    """Every API server is ready, asked directly and through the balancer, with every named check ok."""
    for host in (*driver.inventory.masters, driver.inventory.balancer):
        address = driver.inventory.hosts[host].address
        command = f"curl -k https://{address}:{driver.inventory.kubernetes.api_port}/readyz?verbose"
        answer = succeeds(
            f"/readyz of {host}", partial(ready_answer, driver, host), command=command, host=host
        )
        lines = answer.body.splitlines()
        failing = [line for line in lines if line.startswith("[-]")]
        agrees(f"/readyz of {host}: failing checks", failing, [], command=command, host=host)
        agrees(f"/readyz of {host}: status", answer.status, 200, command=command, host=host)
        holds(
            f"/readyz of {host}: named checks",
            any(line.startswith("[+]etcd ok") for line in lines),
            expected="a line `[+]etcd ok`",
            seen=answer.body[:300],
            command=command,
            host=host,
        )


def etcd_metrics(driver: Driver, host: str) -> str:
    """What etcd on a master tells Prometheus, which it does on the host itself only."""
    port = port_of(driver.inventory, "etcd's metrics")
    return driver.page(host, f"http://127.0.0.1:{port}/metrics")


def etcd_status(driver: Driver) -> list[MemberStatus]:
    """Status of every member, as `etcdctl endpoint status --cluster` gives it."""
    return [item.status for item in driver.etcdctl("endpoint status --cluster", STATUSES)]


def etcd_names(driver: Driver) -> dict[int, str]:
    """Host of each member of etcd by its id. Needs a leader: the list is read from the quorum."""
    return {entry.id: entry.name for entry in driver.etcdctl("member list", MEMBERS).members}


def etcd_leader(driver: Driver, names: dict[int, str], *, through: str = "") -> str:
    """Host of the member that leads, as the member on `through` sees it; "" when there is none.

    Asks that member alone, so that it answers also while there is no leader.
    """
    [own] = driver.etcdctl("endpoint status", STATUSES, through=through)
    return names.get(own.status.leader, "")


def etcd_members(driver: Driver) -> None:
    """Three started, voting members with the inventory's addresses, one leader, near revisions, no alarm."""
    inventory = driver.inventory
    members = driver.etcdctl("member list", MEMBERS).members
    agrees(
        "etcd: started members",
        sorted(entry.name or f"not started: {entry.peers[0]}" for entry in members),
        sorted(inventory.masters),
        command="etcdctl member list -w table",
    )
    nothing(
        "etcd: learners",
        [entry.name for entry in members if entry.learner],
        rule="every member votes",
        command="etcdctl member list -w table",
    )
    port = port_of(inventory, "etcd's peers")
    for entry in members:
        wanted = [f"https://{inventory.hosts[entry.name].address}:{port}"]
        agrees(f"etcd: peer address of {entry.name}", list(entry.peers), wanted, host=entry.name)
    names = {entry.id: entry.name for entry in members}
    states = etcd_status(driver)
    answered = sorted(names.get(state.header.member_id, "a stranger") for state in states)
    agrees("etcd: members that answer", answered, sorted(inventory.masters), command=ETCD)
    leaders = {names.get(state.leader, "none") for state in states}
    holds(
        "etcd: leader",
        len(leaders) == 1 and "none" not in leaders,
        expected="one",
        seen=leaders,
        command=ETCD,
    )
    revisions = [state.header.revision for state in states]
    holds(
        "etcd: revisions of the members",
        max(revisions) - min(revisions) <= IN_FLIGHT,
        expected=f"at most {IN_FLIGHT} apart",
        seen=revisions,
        command=ETCD,
    )
    alarms = driver.etcdctl("alarm list", ALARMS).alarms
    raised = [f"alarm {item.alarm} of {names.get(item.member, 'a stranger')}" for item in alarms]
    nothing("etcd: alarms", raised, rule="none", command="etcdctl alarm list")


def etcd_hashes(driver: Driver) -> None:
    """All members hold the same data: equal hash at one revision."""

    def look() -> dict[str, tuple[int, int]]:
        # members are asked one after the other; a revision that all of them have is one from the past
        revision = min(state.header.revision for state in etcd_status(driver))
        found = driver.etcdctl(f"endpoint hashkv --cluster --rev={revision}", HASHES)
        # a compaction between two answers changes a hash; it shows in the compacted revision
        return {entry.endpoint: (entry.found.hash, entry.found.compacted) for entry in found}

    becomes(
        "etcd: hash of the members at one revision",
        look,
        lambda hashes: len(hashes) == len(driver.inventory.masters) and len(set(hashes.values())) == 1,
        within=5,
        expected="equal on every master",
        command="etcdctl endpoint hashkv --cluster -w table",
    )


def gate(driver: Driver) -> None:
    """The whole of it: rows L2-01 to L2-04."""
    nodes(driver)
    readyz(driver)
    etcd_members(driver)
    etcd_hashes(driver)


def recovered(driver: Driver, *, within: float) -> None:
    """Rows L2-01 to L2-04 hold again within so many seconds."""

    def look() -> str:
        try:
            gate(driver)
        except (Mismatch, Refused) as error:
            return str(error)
        return "healthy"

    becomes(
        "the lab",
        look,
        lambda said: said == "healthy",
        within=within,
        expected="healthy",
        command="invoke status",
    )
