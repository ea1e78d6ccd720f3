"""A small site behind the ingress: two apps, several host names and paths, served by every replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.checks.ingress_client import Front
from lab.checks.objects import ingress, service, steadfast
from lab.checks.verbs import becomes
from lab.checks.workspace import Workspace, is_ready, workspace

ROUTES = {
    ("shop", "/"): "front",
    ("shop", "/api"): "back",
    ("shop", "/api/v1?x=1"): "back",
    ("blog", "/"): "back",
}
"""Host name and path, and the app that answers."""
APPS = ("front", "back")
PODS = 2
"""Of each app."""
POD = "kubectl -n traefik get pods -o wide"


@contextmanager
def site(front: Front, purpose: str) -> Iterator[Workspace]:
    """The site in a namespace of its own, when every replica of Traefik serves it; gone at the end.

    The name `void` leads to a service without pods.
    """
    with workspace(front.driver, purpose) as space:
        for app in APPS:
            made, budget = steadfast(app, space.probe_image, PODS)
            space.create("deployments", made)
            space.create("poddisruptionbudgets", budget)
            space.create("services", service(app, app, kind="ClusterIP"))
        space.create("services", service("empty", "nobody", kind="ClusterIP"))
        shop, blog, void = front.name("shop"), front.name("blog"), front.name("void")
        hosts = {shop: {"/": "front", "/api": "back"}, blog: {"/": "back"}, void: {"/": "empty"}}
        space.create("ingresses", ingress("site", hosts))
        for app in APPS:
            space.await_pods(app, PODS)
        # both: Traefik learns of one app's pods before it learns of the other's
        await_route(front, space, "shop", "front")
        await_route(front, space, "blog", "back")
        yield space


def await_route(front: Front, space: Workspace, label: str, app: str) -> None:
    """Wait until every replica of Traefik leads a host name to an app whose pods are there."""
    becomes(
        "replicas of Traefik that serve the route",
        lambda: _serving(front, space, label, app),
        lambda seen: len(seen) == front.wanted.replicas and set(seen.values()) == {app},
        within=30,
        expected=f"all {front.wanted.replicas}",
        command=POD,
    )


def _serving(front: Front, space: Workspace, label: str, app: str) -> dict[str, str]:
    """What each replica, asked by itself from inside the cluster, gives for a host name."""
    asker = space.pods(app)[0]["metadata"]["name"]
    found = {}
    for pod in front.replicas():
        if is_ready(pod):
            url = f"https://{pod['status']['podIP']}:8443/"
            command = ["/probe", "http", url, "--host", front.name(label), "--insecure"]
            (answer,) = front.driver.cluster.execute(space.name, asker, command).lines()
            found[pod["metadata"]["name"]] = _app(answer)
    return found


def _app(answer: dict[str, Any]) -> str:
    """The app in an answer of the probe's client; its status or error when no app answered."""
    body, start = str(answer.get("body", "")), '{"pod":"'
    return body.removeprefix(start).partition("-")[0] if body.startswith(start) else str(answer.get("error"))
