"""A small site behind the ingress: two apps, several host names and paths, served by every replica of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.checks import objects
from lab.checks.ingress import IngressClient
from lab.checks.objects import drain_safe, service
from lab.checks.workspace import Workspace, workspace

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


@contextmanager
def site(ingress: IngressClient, purpose: str) -> Iterator[Workspace]:
    """The site in a namespace of its own, when every replica of the ingress serves it; gone at the end.

    The name `void` leads to a service without pods.
    """
    with workspace(ingress.driver, purpose) as space:
        for app in APPS:
            made, budget = drain_safe(app, space.probe_image, PODS)
            space.create("deployments", made)
            space.create("poddisruptionbudgets", budget)
            space.create("services", service(app, app, kind="ClusterIP"))
        space.create("services", service("empty", "nobody", kind="ClusterIP"))
        shop, blog, void = ingress.name("shop"), ingress.name("blog"), ingress.name("void")
        hosts = {shop: {"/": "front", "/api": "back"}, blog: {"/": "back"}, void: {"/": "empty"}}
        space.create("ingresses", objects.ingress("site", hosts))
        for app in APPS:
            space.await_pods(app, PODS)
        # both: an ingress learns of one app's pods before it learns of the other's
        ingress.await_route(space, "shop", "front")
        ingress.await_route(space, "blog", "back")
        yield space
