"""Traefik as a client outside the nodes sees it, and its replicas one by one."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from addons.traefik.section import Ingress, arguments
from lab.checks.driver import Driver
from lab.checks.metrics import samples
from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import Answer, http_get
from lab.checks.upload import slow_upload
from lab.checks.verbs import Refused, becomes
from lab.checks.workspace import Workspace
from lab.inventory.addon_sections import domain
from lab.objects import Object, is_ready

NAMESPACE = "/api/v1/namespaces/traefik"
DEPLOYMENT = "/apis/apps/v1/namespaces/traefik/deployments/traefik"
INTERNAL_PORT = 8082
"""Where Traefik's pods answer ping and metrics, to the cluster only."""
RESTARTED = "plumbline.local/restarted"
SECONDS = 3.0
IN_A_ROW = 3
"""Looks at which every replica serves a route, until it is called served."""
POD = "kubectl -n traefik get pods -o wide"


def entries(log: str) -> list[Object]:
    """Requests in a replica's log, in which Kubernetes' client library writes lines of its own, too."""
    found = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [entry for entry in found if "RequestPath" in entry]


@dataclass(frozen=True)
class Traefik:
    """Traefik of one lab, which has it."""

    driver: Driver

    @property
    def wanted(self) -> Ingress:
        """What the inventory says about it."""
        return self.driver.inventory.section(Ingress)

    @property
    def address(self) -> str:
        """Its address on the LAN."""
        return str(self.wanted.address)

    def name(self, label: str) -> str:
        """A host name of the ingress' domain."""
        return f"{label}.{domain(self.driver.inventory)}"

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """A client that trusts the lab's CA and nobody else. Raises `CouldNotTell` without the CA."""
        file = self.driver.lab.authority.certificate_file
        try:
            return ssl.create_default_context(cafile=str(file))
        except OSError as error:
            raise CouldNotTell(
                f"the lab's CA {file}: {error.strerror}", next_step="verify as the user who built the lab"
            ) from error

    def get(self, label: str, path: str = "/", *, headers: dict[str, str] | None = None) -> Answer:
        """GET by HTTPS over a new connection, certificate and name verified."""
        return http_get(
            self.address, 443, path, tls=self.tls, name=self.name(label), headers=headers, seconds=SECONDS
        )

    def plain(self, label: str, path: str = "/") -> Answer:
        """GET by HTTP."""
        return http_get(self.address, 80, path, name=self.name(label), seconds=SECONDS)

    def backend(self, label: str, path: str = "/") -> str:
        """The app whose echo server answers. Raises `Refused` for any other answer than 200."""
        answer = self.get(label, path)
        if answer.status != 200:
            raise Refused(f"https://{self.name(label)}{path}: status {answer.status}: {answer.body[:120]}")
        return str(answer.json().get("pod", "")).partition("-")[0]

    def upload(self, label: str, path: str, seconds: float) -> Answer:
        """PUT by HTTPS of a body that is sent for so many seconds."""
        return slow_upload(self.address, 443, path, tls=self.tls, name=self.name(label), seconds=seconds)

    def otherwise_started(self, pod: Object) -> list[str]:
        """Arguments with which a replica was not started as the inventory says, each with both values."""
        started = [word for item in pod["spec"]["containers"] for word in item.get("args") or ()]
        # Traefik takes an argument in any case, and the last one counts
        found = {key.lower(): value for key, _, value in (word.partition("=") for word in started)}
        where = f"{pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no node')}"
        return [
            f"{where}: {name.removeprefix('--')} is {found.get(name, 'not given')}, not {value}"
            for name, value in arguments(self.driver.inventory).items()
            if found.get(name) != value
        ]

    def replicas(self) -> list[Object]:
        """Traefik's pods that are not being deleted, by name."""
        pods = self.driver.cluster.items(f"{NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fname%3Dtraefik")
        living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return sorted(living, key=lambda pod: str(pod["metadata"]["name"]))

    def metrics(self, pod: Object) -> str:
        """A replica's metrics, asked on its own machine."""
        url = f"http://{pod['status']['podIP']}:{INTERNAL_PORT}/metrics"
        return self.driver.page(pod["spec"]["nodeName"], url)

    def counted(self, pod: Object) -> float:
        """Requests by HTTPS that a replica has counted."""
        found = samples(self.metrics(pod), "traefik_entrypoint_requests_total")
        return sum(number for labels, number in found if labels.get("entrypoint") == "websecure")

    def access_log(self, pod: Object) -> list[Object]:
        """The newest requests in a replica's access log."""
        path = f"{NAMESPACE}/pods/{pod['metadata']['name']}/log?tailLines=2000"
        answer = self.driver.cluster.request("GET", path)
        # one line alone is a JSON object and comes decoded
        return entries(answer["text"] if "text" in answer else json.dumps(answer))

    def rolled(self, path: str, marker: str | None) -> None:
        """Set or remove a mark on a deployment's pods, and wait until only pods of that version are left."""
        cluster = self.driver.cluster
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

    def await_route(self, space: Workspace, label: str, app: str) -> None:
        """Wait until every replica of Traefik leads a host name to an app whose pods are there.

        A replica is Ready, and answers ping, before it has loaded its routes (traefik#10151).
        """
        good = 0

        def steady(seen: dict[str, str]) -> bool:
            nonlocal good
            good = good + 1 if len(seen) == self.wanted.replicas and set(seen.values()) == {app} else 0
            return good >= IN_A_ROW

        becomes(
            f"replicas of Traefik that serve {self.name(label)}",
            lambda: self._serving(space, label, app),
            steady,
            within=30,
            expected=f"all {self.wanted.replicas}",
            command=POD,
        )

    def _serving(self, space: Workspace, label: str, app: str) -> dict[str, str]:
        """What each replica, asked by itself from inside the cluster, gives for a host name."""
        asker = space.pods(app)[0]["metadata"]["name"]
        found = {}
        for pod in self.replicas():
            if is_ready(pod):
                url = f"https://{pod['status']['podIP']}:8443/"
                command = ["/probe", "http", url, "--host", self.name(label), "--insecure"]
                (answer,) = self.driver.cluster.execute(space.name, asker, command).lines()
                found[pod["metadata"]["name"]] = _app(answer)
        return found


def _app(answer: dict[str, Any]) -> str:
    """The app in an answer of the probe's client; its status or error when no app answered."""
    body, start = str(answer.get("body", "")), '{"pod":"'
    return body.removeprefix(start).partition("-")[0] if body.startswith(start) else str(answer.get("error"))


client = Traefik
"""What `lab.checks.ingress` makes of a driver."""
