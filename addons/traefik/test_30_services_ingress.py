"""Layer services: Traefik, asked by real TLS clients outside the nodes."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Address

import pytest
from cryptography import x509

from addons.traefik.client import DEPLOYMENT, NAMESPACE, POD, Traefik
from lab.checks.closed_loop import Visits, visiting
from lab.checks.items import Measure
from lab.checks.metrics import samples
from lab.checks.objects import ENDING_SECONDS
from lab.checks.outcomes import NotPartOfLab
from lab.checks.outside import http_get, served_certificate
from lab.checks.sample_apps import ROUTES, site
from lab.checks.verbs import agrees, becomes, fails, holds, nothing, stays
from lab.checks.workspace import Object, Workspace, is_ready
from lab.inventory.addon_sections import domain as lab_domain

CERTIFICATE_DAYS_LEFT = 30
RESTARTED = "plumbline.local/restarted"
KILL_SECONDS = 60


@pytest.fixture(scope="session")
def space(front: Traefik) -> Iterator[Workspace]:
    """Two apps behind the ingress, served by every replica of Traefik."""
    with site(front, "site") as made:
        yield made


@pytest.mark.check("L3-21")
def test_every_host_and_path_leads_to_its_service(front: Traefik, space: Workspace) -> None:
    """Several host names and paths lead to their services, by HTTPS with the lab's certificate."""
    assert space
    seen = {(label, path): front.backend(label, path) for label, path in ROUTES}
    agrees("apps by host and path", seen, ROUTES, command=f"curl https://{front.name('shop')}/api")


@pytest.mark.check("L3-21")
@pytest.mark.parametrize(("label", "status"), [("nobody", 404), ("void", 503)])
def test_a_name_without_a_service_is_told_so(
    front: Traefik, space: Workspace, label: str, status: int
) -> None:
    """A name that no Ingress has is 404, a service without pods is 503; never another service's answer."""
    assert space
    answer = front.get(label)
    agrees(f"https://{front.name(label)}/", answer.status, status)
    holds("body", "pod" not in answer.body, expected="no echo of a pod", seen=answer.body)


@pytest.mark.check("L3-21")
def test_the_certificate_is_the_labs_and_lasts(front: Traefik, measure: Measure) -> None:
    """The certificate is of the lab's CA, for the domain and its names, and ends in no less than 30 days."""
    name = front.name("shop")
    command = f"openssl s_client -connect {front.address}:443 -servername {name} </dev/null"
    found = x509.load_der_x509_certificate(served_certificate(front.address, 443, name=name))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    domain = lab_domain(front.driver.inventory)
    agrees("names", names.get_values_for_type(x509.DNSName), [domain, f"*.{domain}"], command=command)
    left = (found.not_valid_after_utc - datetime.now(UTC)).days
    measure("days until the certificate ends", left, "d")
    holds("days left", left >= CERTIFICATE_DAYS_LEFT, expected=f"{CERTIFICATE_DAYS_LEFT} at least", seen=left)
    agrees("status for who trusts the lab's CA", front.get("nobody").status, 404, command=command)


@pytest.mark.check("L3-21")
def test_a_client_is_warned_of_another_name_and_of_an_unknown_ca(front: Traefik) -> None:
    """Who does not trust the lab's CA, or asks for a name outside the domain, is refused by TLS."""

    def ask(tls: ssl.SSLContext, name: str) -> int:
        return http_get(front.address, 443, tls=tls, name=name).status

    public = ssl.create_default_context()
    fails(
        "a client that trusts public CAs",
        partial(ask, public, front.name("shop")),
        because="TLS: CERTIFICATE",
    )
    fails("a name outside the domain", partial(ask, front.tls, "www.example.com"), because="TLS: CERTIFICATE")


@pytest.mark.check("L3-21")
def test_http_leads_to_https(front: Traefik) -> None:
    """HTTP answers with a permanent redirect to the same host and path by HTTPS, and with nothing else."""
    answer = front.plain("shop", "/api/v1?x=1")
    holds("status", answer.status in (301, 308), expected="301 or 308", seen=answer.status)
    wanted = f"https://{front.name('shop')}/api/v1?x=1"
    agrees(
        "location", answer.headers.get("location"), wanted, command=f"curl -I http://{front.name('shop')}/"
    )


@pytest.mark.check("L3-21")
def test_an_ingress_without_a_class_is_traefiks(front: Traefik, space: Workspace) -> None:
    """An Ingress that names no class is given Traefik's, and the address in its status."""
    path = f"{space.networking}/ingresses/site"
    item = front.driver.cluster.get(path) or {}
    agrees("class", item["spec"].get("ingressClassName"), "traefik", command="kubectl get ingressclass")

    def addresses() -> list[str]:
        status = (front.driver.cluster.get(path) or {}).get("status", {})
        return [entry.get("ip", "") for entry in status.get("loadBalancer", {}).get("ingress", [])]

    becomes(
        "address in the Ingress' status",
        addresses,
        lambda seen: seen == [front.address],
        within=30,
        expected=front.address,
        command=f"kubectl -n {space.name} get ingress site -o yaml",
    )


@pytest.mark.check("L3-21")
def test_replicas_stand_on_machines_of_their_own(front: Traefik) -> None:
    """As many replicas as the inventory says are Ready, each on another worker."""
    pods = front.replicas()
    ready = [pod["spec"]["nodeName"] for pod in pods if is_ready(pod)]
    agrees("replicas that are Ready", len(ready), front.wanted.replicas, command=POD)
    agrees("machines with a replica", len(set(ready)), len(ready), command=POD)


@pytest.mark.check("L3-21")
def test_requests_are_counted_and_logged(front: Traefik, space: Workspace) -> None:
    """A request is counted by a replica's metrics and stands in its access log, with status and service."""
    path = f"/seen-{time.time_ns()}"
    pods = front.replicas()
    before = sum(counted(front, pod) for pod in pods)
    agrees("status", front.get("blog", path).status, 200)

    def logged() -> list[Object]:
        return [entry for pod in pods for entry in front.access_log(pod) if entry["RequestPath"] == path]

    (entry,) = becomes(
        f"entries of {path} in the access logs",
        logged,
        lambda seen: len(seen) == 1,
        within=10,
        expected="one",
        command="kubectl -n traefik logs -l app.kubernetes.io/name=traefik",
    )
    seen = {key: entry.get(key) for key in ("RequestHost", "DownstreamStatus", "RequestMethod")}
    wanted = {"RequestHost": front.name("blog"), "DownstreamStatus": 200, "RequestMethod": "GET"}
    agrees("entry of the access log", seen, wanted)
    holds(
        "service in the entry", space.name in str(entry.get("ServiceName")), expected=space.name, seen=entry
    )
    after = sum(counted(front, pod) for pod in pods)
    holds("requests that Traefik has counted", after > before, expected=f"more than {before:g}", seen=after)


def counted(front: Traefik, pod: Object) -> float:
    """Requests by HTTPS that a replica has counted."""
    found = samples(front.metrics(pod), "traefik_entrypoint_requests_total")
    return sum(number for labels, number in found if labels.get("entrypoint") == "websecure")


@pytest.mark.check("L3-24")
def test_an_app_is_told_its_client_and_no_client_can_lie(front: Traefik, space: Workspace) -> None:
    """The app is told a node's address as its client (policy Cluster), and never what a client claims."""
    inventory, claimed = front.driver.inventory, "203.0.113.7"
    asked = {"X-Forwarded-For": claimed, "X-Real-Ip": claimed}
    assert space
    for _ in range(5):
        headers = front.get("shop", headers=asked).json()["headers"]
        told = {address for key in ("X-Forwarded-For", "X-Real-Ip") for address in headers[key]}
        nodes = {str(inventory.hosts[name].address) for name in inventory.nodes}
        # a node's own gateway of the pod network stands for clients as well
        pods = inventory.kubernetes.pod_subnet
        strangers = {a for a in told if a not in nodes and IPv4Address(a) not in pods}
        nothing("clients that are no node", strangers, rule="none: a node stands for the client")
        agrees("scheme that the app is told", headers["X-Forwarded-Proto"], ["https"])


def judged(visits: Visits, measure: Measure, what: str, percent: float) -> None:
    """The share of requests that succeeded is at least so many per cent."""
    measure(f"requests while {what}", len(visits.all), "requests")
    measure(f"requests that succeeded while {what}", visits.success_percent, "%", percent)
    measure(f"longest request while {what}", visits.longest, "s")
    holds(
        f"requests while {what}",
        visits.success_percent >= percent,
        expected=f"{percent:g} % of {len(visits.all)} succeed",
        seen=f"{visits.success_percent:.3f} %: {'; '.join(visits.problems())}",
    )


def rolled(front: Traefik, path: str, marker: str | None) -> None:
    """Set or remove a mark on a deployment's pods, and wait until only pods of that version are left."""
    cluster = front.driver.cluster
    change = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: marker}}}}}
    cluster.request("PATCH", path, change)

    def state() -> tuple[int, ...]:
        item = cluster.get(path) or {}
        status = item["status"]
        if status.get("observedGeneration") != item["metadata"]["generation"]:
            return ()
        return tuple(status.get(key, 0) for key in ("updatedReplicas", "availableReplicas", "replicas"))

    wanted = (cluster.get(path) or {})["spec"]["replicas"]
    becomes(
        f"replicas of {path.rpartition('/')[2]} (new, available, all)",
        state,
        lambda seen: seen == (wanted, wanted, wanted),
        within=120,
        expected=f"{wanted} each",
        command=POD,
    )


@pytest.mark.check("L3-22")
def test_an_update_of_traefik_costs_no_request(front: Traefik, space: Workspace, measure: Measure) -> None:
    """Traefik is rolled over twice while clients ask on; no request fails."""
    assert space
    with visiting(partial(front.backend, "shop")) as visits:
        rolled(front, DEPLOYMENT, f"{time.time_ns()}")
        rolled(front, DEPLOYMENT, None)
        # replicas of the old version go on serving for a while and then end
        becomes(
            "pods of Traefik",
            lambda: front.driver.cluster.items(f"{NAMESPACE}/pods"),
            lambda pods: len(pods) == front.wanted.replicas,
            within=60,
            expected=f"{front.wanted.replicas}, none of them ending",
            command=POD,
        )
    judged(visits, measure, "Traefik is updated", 100)


@pytest.mark.check("L3-22")
def test_an_update_of_an_app_costs_no_request(front: Traefik, space: Workspace, measure: Measure) -> None:
    """An app that lingers is rolled over while clients ask on; no request fails."""
    with visiting(partial(front.backend, "shop")) as visits:
        rolled(front, f"{space.apps}/deployments/front", f"{time.time_ns()}")
        stays(
            "the app after its update",
            lambda: len(space.pods("front")),
            lambda number: number == 2,
            seconds=ENDING_SECONDS + 2,
            expected="2 pods",
        )
    judged(visits, measure, "an app is updated", 100)


@pytest.mark.check("L3-23")
def test_the_death_of_a_replica_is_hardly_felt(front: Traefik, space: Workspace, measure: Measure) -> None:
    """A replica is removed without time to end well; over a minute nearly all requests succeed."""
    if front.wanted.replicas < 2:
        raise NotPartOfLab("ingress.replicas", "there is one replica, and nobody to take over")
    assert space
    victim = front.replicas()[0]["metadata"]["name"]

    def whole() -> bool:
        pods = front.replicas()
        names = [pod["metadata"]["name"] for pod in pods if is_ready(pod)]
        return len(names) == front.wanted.replicas and victim not in names

    with visiting(partial(front.backend, "shop")) as visits:
        front.driver.cluster.delete(f"{NAMESPACE}/pods/{victim}?gracePeriodSeconds=0")
        becomes("a new replica in its place", whole, bool, within=60, expected="Ready", command=POD)
        left = KILL_SECONDS - (time.monotonic() - visits.begun)
        stays("replicas of Traefik", whole, bool, seconds=max(left, 1), expected="all Ready", command=POD)
    judged(visits, measure, "a replica dies", front.driver.inventory.thresholds.ingress_success_percent)
