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
from lab.checks.closed_loop import ClosedLoop, closed_loop
from lab.checks.items import Measure
from lab.checks.objects import ENDING_SECONDS
from lab.checks.outcomes import NotPartOfLab
from lab.checks.outside import http_get, served_certificate
from lab.checks.sample_apps import ROUTES, site
from lab.checks.verbs import agrees, becomes, fails, holds, nothing, stays, succeeds
from lab.checks.workspace import Workspace
from lab.inventory.addon_sections import domain as lab_domain
from lab.objects import Object, is_ready

CERTIFICATE_DAYS_LEFT = 30
KILL_SECONDS = 60
UPLOAD_SECONDS = 66
"""Longer than Traefik's own limit for a request, a minute."""
STARTED = "kubectl -n traefik get pods -o yaml"


@pytest.fixture(scope="session")
def space(ingress: Traefik) -> Iterator[Workspace]:
    """Two apps behind the ingress, served by every replica of Traefik."""
    with site(ingress, "site") as made:
        yield made


@pytest.mark.check("L3-21")
@pytest.mark.usefixtures("space")
def test_every_host_and_path_leads_to_its_service(ingress: Traefik) -> None:
    """Several host names and paths lead to their services, by HTTPS with the lab's certificate."""
    seen = {(label, path): ingress.backend(label, path) for label, path in ROUTES}
    agrees("apps by host and path", seen, ROUTES, command=f"curl https://{ingress.name('shop')}/api")


@pytest.mark.check("L3-21")
@pytest.mark.parametrize(("label", "status"), [("nobody", 404), ("void", 503)])
@pytest.mark.usefixtures("space")
def test_a_name_without_a_service_is_told_so(ingress: Traefik, label: str, status: int) -> None:
    """A name that no Ingress has is 404, a service without pods is 503; never another service's answer."""
    answer = ingress.get(label)
    agrees(f"https://{ingress.name(label)}/", answer.status, status)
    holds("body", "pod" not in answer.body, expected="no echo of a pod", seen=answer.body)


@pytest.mark.check("L3-21")
def test_the_certificate_is_the_labs_and_lasts(ingress: Traefik, measure: Measure) -> None:
    """The certificate is of the lab's CA, for the domain and its names, and ends in no less than 30 days."""
    name = ingress.name("shop")
    command = f"openssl s_client -connect {ingress.address}:443 -servername {name} </dev/null"
    found = x509.load_der_x509_certificate(served_certificate(ingress.address, 443, name=name))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    domain = lab_domain(ingress.driver.inventory)
    agrees("names", names.get_values_for_type(x509.DNSName), [domain, f"*.{domain}"], command=command)
    left = (found.not_valid_after_utc - datetime.now(UTC)).days
    measure("days until the certificate ends", left, "d")
    holds("days left", left >= CERTIFICATE_DAYS_LEFT, expected=f"{CERTIFICATE_DAYS_LEFT} at least", seen=left)
    agrees("status for who trusts the lab's CA", ingress.get("nobody").status, 404, command=command)


@pytest.mark.check("L3-21")
def test_a_client_is_warned_of_another_name_and_of_an_unknown_ca(ingress: Traefik) -> None:
    """Who does not trust the lab's CA, or asks for a name outside the domain, is refused by TLS."""

    def ask(tls: ssl.SSLContext, name: str) -> int:
        return http_get(ingress.address, 443, tls=tls, name=name).status

    public = ssl.create_default_context()
    fails(
        "a client that trusts public CAs",
        partial(ask, public, ingress.name("shop")),
        because="TLS: CERTIFICATE",
    )
    fails(
        "a name outside the domain", partial(ask, ingress.tls, "www.example.com"), because="TLS: CERTIFICATE"
    )


@pytest.mark.check("L3-21")
def test_http_leads_to_https(ingress: Traefik) -> None:
    """HTTP answers with a permanent redirect to the same host and path by HTTPS, and with nothing else."""
    answer = ingress.plain("shop", "/api/v1?x=1")
    holds("status", answer.status in (301, 308), expected="301 or 308", seen=answer.status)
    wanted = f"https://{ingress.name('shop')}/api/v1?x=1"
    agrees(
        "location", answer.headers.get("location"), wanted, command=f"curl -I http://{ingress.name('shop')}/"
    )


@pytest.mark.check("L3-21")
def test_an_ingress_without_a_class_is_traefiks(ingress: Traefik, space: Workspace) -> None:
    """An Ingress that names no class is given Traefik's, and the address in its status."""
    path = f"{space.networking}/ingresses/site"
    item = ingress.driver.cluster.get(path) or {}
    agrees("class", item["spec"].get("ingressClassName"), "traefik", command="kubectl get ingressclass")

    def addresses() -> list[str]:
        status = (ingress.driver.cluster.get(path) or {}).get("status", {})
        return [entry.get("ip", "") for entry in status.get("loadBalancer", {}).get("ingress", [])]

    becomes(
        "address in the Ingress' status",
        addresses,
        lambda seen: seen == [ingress.address],
        within=30,
        expected=ingress.address,
        command=f"kubectl -n {space.name} get ingress site -o yaml",
    )


@pytest.mark.check("L3-21")
def test_replicas_stand_on_machines_of_their_own(ingress: Traefik) -> None:
    """As many replicas as the inventory says are Ready, each on another worker."""
    pods = ingress.replicas()
    ready = [pod["spec"]["nodeName"] for pod in pods if is_ready(pod)]
    agrees("replicas that are Ready", len(ready), ingress.wanted.replicas, command=POD)
    agrees("machines with a replica", len(set(ready)), len(ready), command=POD)


@pytest.mark.check("L3-21")
def test_requests_are_counted_and_logged(ingress: Traefik, space: Workspace) -> None:
    """A request is counted by a replica's metrics and stands in its access log, with status and service."""
    path = f"/seen-{time.time_ns()}"
    pods = ingress.replicas()
    before = sum(ingress.counted(pod) for pod in pods)
    agrees("status", ingress.get("blog", path).status, 200)

    def logged() -> list[Object]:
        return [entry for pod in pods for entry in ingress.access_log(pod) if entry["RequestPath"] == path]

    (entry,) = becomes(
        f"entries of {path} in the access logs",
        logged,
        lambda seen: len(seen) == 1,
        within=10,
        expected="one",
        command="kubectl -n traefik logs -l app.kubernetes.io/name=traefik",
    )
    seen = {key: entry.get(key) for key in ("RequestHost", "DownstreamStatus", "RequestMethod")}
    wanted = {"RequestHost": ingress.name("blog"), "DownstreamStatus": 200, "RequestMethod": "GET"}
    agrees("entry of the access log", seen, wanted)
    holds(
        "service in the entry", space.name in str(entry.get("ServiceName")), expected=space.name, seen=entry
    )
    after = sum(ingress.counted(pod) for pod in pods)
    holds("requests that Traefik has counted", after > before, expected=f"more than {before:g}", seen=after)


@pytest.mark.check("L3-24")
@pytest.mark.usefixtures("space")
def test_an_app_is_told_its_client_and_no_client_can_lie(ingress: Traefik) -> None:
    """The app is told a node's address as its client (policy Cluster), and never what a client claims."""
    inventory, claimed = ingress.driver.inventory, "203.0.113.7"
    asked = {"X-Forwarded-For": claimed, "X-Real-Ip": claimed}
    for _ in range(5):
        headers = ingress.get("shop", headers=asked).json()["headers"]
        told = {address for key in ("X-Forwarded-For", "X-Real-Ip") for address in headers[key]}
        nodes = {str(inventory.hosts[name].address) for name in inventory.nodes}
        # a node's own gateway of the pod network stands for clients as well
        pods = inventory.kubernetes.pod_subnet
        strangers = {a for a in told if a not in nodes and IPv4Address(a) not in pods}
        nothing("clients that are no node", strangers, rule="none: a node stands for the client")
        agrees("scheme that the app is told", headers["X-Forwarded-Proto"], ["https"])


@pytest.mark.check("P3-10", "P3-11")
def test_every_replica_was_started_as_the_inventory_says(ingress: Traefik) -> None:
    """Each replica that runs has the inventory's time-outs, and takes encoded slashes."""
    pods = ingress.replicas()
    holds("replicas of Traefik", bool(pods), expected="one at least", seen="none", command=POD)
    wrong = [line for pod in pods for line in ingress.otherwise_started(pod)]
    nothing("arguments of Traefik", wrong, rule="as the inventory says", command=STARTED)


@pytest.mark.check("P3-10")
@pytest.mark.usefixtures("announcer", "space")
def test_a_slow_upload_is_taken_whole(ingress: Traefik, measure: Measure) -> None:
    """A request that is sent for longer than a minute reaches its app and is answered."""
    limit = ingress.wanted.timeout_read_seconds
    if limit <= UPLOAD_SECONDS:
        raise NotPartOfLab(
            "ingress.timeout_read_seconds", f"requests that take more than {limit} s are ended"
        )
    begun, name = time.monotonic(), ingress.name("shop")
    answer = succeeds(f"upload to {name}", lambda: ingress.upload("shop", "/api/upload", UPLOAD_SECONDS))
    measure("slow upload", time.monotonic() - begun, "s")
    agrees(f"answer to an upload of {UPLOAD_SECONDS} s to {name}", answer.status, 200)
    agrees("method that the app is told", answer.json().get("method"), "PUT")


@pytest.mark.check("P3-11")
@pytest.mark.usefixtures("space")
def test_an_encoded_slash_arrives_as_it_was_sent(ingress: Traefik) -> None:
    """A path with an encoded slash is neither refused nor decoded, by HTTPS and on the way to it."""
    path, name = "/api/group%2Fproject?of=a%2Fb", ingress.name("shop")
    command = f"curl -i --path-as-is 'https://{name}{path}'"
    answer = ingress.get("shop", path)
    agrees(f"answer to https://{name}{path}", answer.status, 200, command=command)
    agrees("path that the app is told", answer.json().get("path"), path, command=command)
    agrees(
        f"where http://{name}{path} leads",
        ingress.plain("shop", path).headers.get("location"),
        f"https://{name}{path}",
    )


def judged(visits: ClosedLoop, measure: Measure, what: str, percent: float) -> None:
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


@pytest.mark.check("L3-22")
@pytest.mark.usefixtures("announcer", "space")
def test_an_update_of_traefik_costs_no_request(ingress: Traefik, measure: Measure) -> None:
    """Traefik is rolled over twice while clients ask on; no request fails."""
    with closed_loop(partial(ingress.backend, "shop")) as visits:
        ingress.rolled(DEPLOYMENT, f"{time.time_ns()}")
        ingress.rolled(DEPLOYMENT, None)
        # replicas of the old version go on serving for a while and then end
        becomes(
            "pods of Traefik",
            lambda: ingress.driver.cluster.items(f"{NAMESPACE}/pods"),
            lambda pods: len(pods) == ingress.wanted.replicas,
            within=60,
            expected=f"{ingress.wanted.replicas}, none of them ending",
            command=POD,
        )
    judged(visits, measure, "Traefik is updated", 100)


@pytest.mark.check("L3-22")
@pytest.mark.usefixtures("announcer")
def test_an_update_of_an_app_costs_no_request(ingress: Traefik, space: Workspace, measure: Measure) -> None:
    """An app that lingers is rolled over while clients ask on; no request fails."""
    with closed_loop(partial(ingress.backend, "shop")) as visits:
        ingress.rolled(f"{space.apps}/deployments/front", f"{time.time_ns()}")
        stays(
            "the app after its update",
            lambda: len(space.pods("front")),
            lambda number: number == 2,
            seconds=ENDING_SECONDS + 2,
            expected="2 pods",
        )
    judged(visits, measure, "an app is updated", 100)


@pytest.mark.check("L3-23")
@pytest.mark.usefixtures("announcer", "space")
def test_the_death_of_a_replica_is_hardly_felt(ingress: Traefik, measure: Measure) -> None:
    """A replica is removed without time to end well; over a minute nearly all requests succeed."""
    if ingress.wanted.replicas < 2:
        raise NotPartOfLab("ingress.replicas", "there is one replica, and nobody to take over")
    victim = ingress.replicas()[0]["metadata"]["name"]

    def whole() -> bool:
        pods = ingress.replicas()
        names = [pod["metadata"]["name"] for pod in pods if is_ready(pod)]
        return len(names) == ingress.wanted.replicas and victim not in names

    with closed_loop(partial(ingress.backend, "shop")) as visits:
        ingress.driver.cluster.delete(f"{NAMESPACE}/pods/{victim}?gracePeriodSeconds=0")
        becomes("a new replica in its place", whole, bool, within=60, expected="Ready", command=POD)
        left = KILL_SECONDS - (time.monotonic() - visits.begun)
        stays("replicas of Traefik", whole, bool, seconds=max(left, 1), expected="all Ready", command=POD)
    judged(visits, measure, "a replica dies", ingress.driver.inventory.thresholds.ingress_success_percent)
