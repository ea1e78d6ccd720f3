"""Defects of the ingress: what it refuses, what is led elsewhere, what it may not tell."""

from __future__ import annotations

import json

from lab.cluster.kubeadm import KUBECTL
from lab.inventory.addon_sections import domain
from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, Told, breakage, filtered
from lab.selftest.on_cluster import APPS, kubectl, made, rewritten

SPACE, NAME = "traefik", "deployment/traefik"
SECURE = 8443
"""Where its pods listen for HTTPS."""
CONNECTIONS = "every connection to the ingress"
POLICY = '{"spec":{"externalTrafficPolicy":"%s"}}'


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_arguments(lab), *_routes(lab)]


def _arguments(lab: Inventory) -> list[Breakage]:
    """Each changes the deployment's arguments, and is there when every replica has them."""
    return [
        breakage(
            layer="services",
            name="ingress-impatient",
            title="Traefik ends requests after five seconds, and refuses encoded slashes",
            row="P3-10",
            says=r"upload to shop\..*(closed|answered by).* after \d of 66 s",
            also=(Told("P3-11", r"answer to https://shop\..*%2F.*expected 200; seen: 400"),),
            **_started_with(
                lab,
                "ingress-impatient",
                r"s|\(readtimeout\)=[0-9]*s|\1=5s|; s|\(allowencodedslash\)=true|\1=false|",
            ),
        ),
        breakage(
            layer="services",
            name="ingress-slash-by-chance",
            title="whether Traefik takes encoded slashes is left to its version",
            row="P3-11",
            says="arguments of Traefik.*on .*allowencodedslash is not given, not true",
            **_started_with(lab, "ingress-slash-by-chance", "/allowencodedslash=/d"),
        ),
    ]


def _started_with(lab: Inventory, name: str, program: str) -> dict[str, object]:
    """Damage and repair of the arguments, which the running replicas have before the next look."""
    found = rewritten(lab, name, NAME, SPACE, program)
    rolled = f"{KUBECTL} -n {SPACE} rollout status {NAME} --timeout=55s >/dev/null"
    return {
        **found,
        "damage": f"{found['damage']} && {rolled}",
        "alone": True,
        "settles": True,
    }


def _routes(lab: Inventory) -> list[Breakage]:
    worker = lab.workers[0]
    patch = f"-n {SPACE} patch service traefik -p"
    return [
        breakage(
            layer="services",
            name="ingress-connections-refused",
            title="a worker's firewall refuses every tenth connection to the ingress",
            row="L3-22",
            says="requests while an app is updated: expected 100 % of .*refused",
            test="test_an_update_of_an_app",
            at=worker,
            stops=(CONNECTIONS,),
            needs=(APPS,),
            reddens=("P3-10", "P3-11"),
            **filtered(
                f"tcp dport {SECURE} tcp flags & (syn | ack) == syn numgen inc mod 10 == 0"
                " reject with tcp reset",
                hook="forward",
                name="ingress",
            ),
        ),
        breakage(
            layer="services",
            name="ingress-may-not-tell",
            title="Traefik has lost the right to write its address to an Ingress",
            row="L3-21",
            says="address in the Ingress' status: expected",
            listed=True,
            needs=(APPS,),
            **rewritten(
                lab,
                "ingress-may-not-tell",
                "clusterrole/traefik",
                SPACE,
                "s|^  - ingresses/status$|  - ingresses/of-nobody|",
            ),
        ),
        breakage(
            layer="services",
            name="ingress-of-a-stranger",
            title="somebody's Ingress takes a name that nobody has",
            row="L3-21",
            says=r"https://nobody\..*/: expected 404; seen: 30",
            listed=True,
            needs=(CONNECTIONS, APPS),
            **made(lab, "ingress", "stranger", _stranger(lab), SPACE),
        ),
        breakage(
            layer="services",
            name="ingress-policy-local",
            title="somebody lets the ingress see its clients, whom apps then trust",
            row="L3-24",
            says="clients that are no node: ",
            listed=True,
            needs=(CONNECTIONS, APPS),
            **kubectl(
                lab,
                f"{patch} '{POLICY % 'Local'}'",
                f"{patch} '{POLICY % 'Cluster'}'",
                "service/traefik",
            ),
        ),
    ]


def _stranger(lab: Inventory) -> str:
    """An Ingress for a name of the domain, which leads to Traefik's own way to HTTPS."""
    service = {"name": "traefik", "port": {"name": "web"}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    rules = [{"host": f"nobody.{domain(lab)}", "http": {"paths": [path]}}]
    meta = {"name": "stranger"}
    item = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": meta,
        "spec": {"rules": rules},
    }
    return json.dumps(item)
