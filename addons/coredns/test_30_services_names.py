"""Layer services: names, asked from inside pods on every node."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from statistics import quantiles

import pytest

from addons.coredns.name_server import serving
from addons.coredns.outside import (
    asked,
    below,
    known_outside,
    names_outside,
    searched,
    swallowed,
    unanswered,
    undecided,
)
from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.objects import service
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import agrees, becomes, holds, nothing
from lab.checks.workspace import Workspace
from lab.objects import Object, is_ready

P50_MS, P99_MS = 20.0, 100.0
"""ClusterLoader2's thresholds for answers of the cluster's DNS."""
ROUNDS_SECONDS = 15
ERROR_SHARE = 0.001
SECONDS = 60
DNS_PODS = "/api/v1/namespaces/kube-system/pods"
DNS_LABEL = "labelSelector=k8s-app%3Dkube-dns"
KEPT_SECONDS = 12
"""CoreDNS remembers for 5 s that a name server did not answer (plugin cache, servfail)."""


def resolve(space: Workspace, pod: Object, name: str, *options: str, seconds: float = 60) -> list[Object]:
    """Resolve a name inside a pod; one result an attempt."""
    command = ["/probe", "dns", name, *options]
    found = space.driver.cluster.execute(
        space.name, pod["metadata"]["name"], command, seconds=seconds
    ).lines()
    if not found:
        raise CouldNotTell(f"the probe on {pod['spec']['nodeName']} printed nothing")
    return found


def addresses_of(space: Workspace, pod: Object, name: str) -> set[str]:
    """Addresses a name resolves to inside a pod."""
    return {address for result in resolve(space, pod, name) for address in result.get("answers") or []}


def failures(results: list[Object]) -> list[Object]:
    """What failed."""
    return [result for result in results if result.get("error")]


def errors(results: list[Object]) -> list[str]:
    """What was said of it."""
    return [str(result["error"]) for result in failures(results)]


def since(moment: datetime, result: Object) -> str:
    """How long after a moment a question failed, and how."""
    passed = datetime.fromisoformat(result["start"]) - moment
    return f"{passed.total_seconds():.1f} s after the replica was deleted: {result['error']}"


@pytest.fixture(scope="session")
def names(everywhere: Workspace) -> dict[str, set[str]]:
    """A service, a headless one and an alias, with the addresses each must resolve to."""
    domain = everywhere.driver.inventory.kubernetes.dns_domain
    plain = everywhere.create("services", service("plain", "probe", kind="ClusterIP"))
    everywhere.create("services", service("headless", "probe", kind="ClusterIP", clusterIP="None"))
    alias = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "alias"},
        "spec": {"type": "ExternalName", "externalName": f"plain.{everywhere.name}.svc.{domain}"},
    }
    everywhere.create("services", alias)
    pods = {pod["status"]["podIP"] for pod in everywhere.pods("probe")}
    address = plain["spec"]["clusterIP"]
    return {
        f"plain.{everywhere.name}": {address},
        f"headless.{everywhere.name}.svc.{domain}.": pods,
        f"alias.{everywhere.name}.svc.{domain}.": {address},
    }


@pytest.mark.check("L3-19")
@pytest.mark.each("nodes")
def test_names_resolve_in_pods(
    everywhere: Workspace,
    probes: dict[str, Object],
    names: dict[str, set[str]],
    measure: Measure,
    host: str,
) -> None:
    """In a pod on the node a service, a headless one and an alias resolve, fast and without an error."""
    pod = probes[host]
    for name, wanted in names.items():
        command = f"kubectl -n {everywhere.name} exec {pod['metadata']['name']} -- /probe dns {name}"
        becomes(
            f"addresses of {name} from {host}",
            partial(addresses_of, everywhere, pod, name),
            wanted.__eq__,
            # a name asked for before CoreDNS knew the service is remembered as unknown for up to 30 s
            within=45,
            expected=", ".join(sorted(wanted)),
            command=command,
            host=host,
        )
    name = next(reversed(names))

    def round_() -> tuple[float, float]:
        results = resolve(everywhere, pod, name, "--count", "100", "--interval", "20ms")
        nothing(f"failed questions of 100 from {host}", errors(results), rule="none", host=host)
        cuts = quantiles([float(result["ms"]) for result in results], n=100)
        return round(cuts[49], 1), round(cuts[98], 1)

    # a busy minute of the machine is no fault of the DNS; a slow DNS is slow in every round
    p50, p99 = becomes(
        f"median and 99th percentile of 100 answers from {host}, in ms",
        round_,
        lambda seen: seen[0] <= P50_MS and seen[1] <= P99_MS,
        within=ROUNDS_SECONDS,
        expected=f"at most {P50_MS:g} and {P99_MS:g} in one of several rounds",
        host=host,
    )
    measure("median of a DNS answer", p50, "ms", P50_MS)
    measure("99th percentile of a DNS answer", p99, "ms", P99_MS)


@pytest.mark.check("L3-20")
def test_names_resolve_while_a_replica_is_replaced(
    driver: Driver,
    everywhere: Workspace,
    probes: dict[str, Object],
    names: dict[str, set[str]],
    measure: Measure,
) -> None:
    """While one replica of CoreDNS is deleted and replaced, questions for a minute go on being answered."""
    name, pod = next(reversed(names)), probes[driver.inventory.workers[-1]]
    # a question that was on its way to the deleted replica is lost; every resolver asks again after 5 s
    options = ("--count", str(10 * SECONDS), "--interval", "100ms", "--timeout", "12s")
    found: list[Object] = []
    problems: list[Exception] = []

    def ask() -> None:
        try:
            found.extend(resolve(everywhere, pod, name, *options, seconds=SECONDS + 60))
        except Exception as error:
            problems.append(error)

    replicas = driver.cluster.items(f"{DNS_PODS}?{DNS_LABEL}")
    asking = threading.Thread(target=ask, name="dns", daemon=True)
    asking.start()
    deleted = datetime.now(UTC)
    driver.cluster.delete(f"{DNS_PODS}/{replicas[0]['metadata']['name']}")
    becomes(
        "replicas of CoreDNS",
        lambda: [is_ready(item) for item in driver.cluster.items(f"{DNS_PODS}?{DNS_LABEL}")],
        lambda ready: len(ready) == len(replicas) and all(ready),
        within=SECONDS,
        expected=f"{len(replicas)} Ready",
        command="kubectl -n kube-system get pods -l k8s-app=kube-dns",
    )
    asking.join(SECONDS + 70)
    if problems:
        raise problems[0]
    agrees("questions", len(found), 10 * SECONDS)
    share = measure(
        "failed questions while a replica was replaced", len(errors(found)) / len(found), "", ERROR_SHARE
    )
    measure("slowest answer while a replica was replaced", max(float(r["ms"]) for r in found) / 1000, "s")
    seen = [f"{len(errors(found))} of {len(found)}", *map(partial(since, deleted), failures(found))]
    holds("failed questions", share < ERROR_SHARE, expected=f"below {ERROR_SHARE:.1%}", seen=seen)


@pytest.fixture(scope="module")
def outside(driver: Driver) -> Iterator[list[str]]:
    """Names of the outside; where the lab's name server is our own place in its network, it is served."""
    names = names_outside(driver.inventory, driver.pins.images)
    own = driver.lan_interface.address
    if own not in driver.inventory.nameservers:
        yield names
        return
    with serving(own, names):
        yield names


@pytest.mark.check("P3-30")
@pytest.mark.each("nodes")
def test_no_domain_that_pods_search_swallows_names(
    everywhere: Workspace, probes: dict[str, Object], outside: list[str], driver: Driver, host: str
) -> None:
    """Below each domain that a pod on the node searches, no random name and no name of the outside exists."""
    names = below(searched(driver.inventory, everywhere.name), [f"nobody-{token_hex(4)}", *outside])
    command = _command(everywhere, probes[host])

    def look() -> list[str]:
        results = asked(everywhere, probes[host], names)
        subject = f"names that nobody gave, as a pod on {host} gets them"
        nothing(subject, swallowed(results), rule="none", command=command, host=host)
        return undecided(results)

    subject = f"names of which a pod on {host} hears neither yes nor no"
    becomes(
        subject,
        look,
        lambda found: not found,
        within=KEPT_SECONDS,
        expected="none",
        command=command,
        host=host,
    )


@pytest.mark.check("P3-30")
@pytest.mark.each("nodes")
def test_names_of_the_outside_resolve_in_pods(
    everywhere: Workspace, probes: dict[str, Object], outside: list[str], driver: Driver, host: str
) -> None:
    """What the lab's name servers know of the outside, a pod on the node gets by the DNS of the cluster."""
    pod = probes[host]
    known = known_outside(driver, everywhere, pod, outside)
    # with a dot at the end, and as programs write it: by way of the domains that are searched
    names = [*(f"{name}." for name in known), *known]
    becomes(
        f"names of the outside without an answer for a pod on {host}",
        lambda: unanswered(asked(everywhere, pod, names)) if names else [],
        lambda found: not found,
        within=KEPT_SECONDS,
        expected="none",
        command=_command(everywhere, pod),
        host=host,
    )


def _command(space: Workspace, pod: Object) -> str:
    return f"kubectl -n {space.name} exec {pod['metadata']['name']} -- /probe dns NAME"
