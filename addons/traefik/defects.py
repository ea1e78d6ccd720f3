"""Defects of the ingress: slow requests that are cut, encoded slashes that are refused."""

from __future__ import annotations

from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, breakage
from lab.selftest.on_cluster import rewritten

SPACE, NAME = "traefik", "deployment/traefik"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them: each changes the deployment's arguments, and is there when every replica has them."""
    return [
        breakage(
            layer="services",
            name="ingress-impatient",
            title="Traefik ends requests that take more than five seconds",
            row="P3-10",
            says=r"upload to shop\..*(closed|answered by).* after \d of 66 s",
            **_started_with(lab, "ingress-impatient", r"s|\(readtimeout\)=[0-9]*s|\1=5s|"),
        ),
        breakage(
            layer="services",
            name="ingress-slash-refused",
            title="Traefik refuses paths with an encoded slash",
            row="P3-11",
            says=r"answer to https://shop\..*%2F.*expected 200; seen: 400",
            **_started_with(lab, "ingress-slash-refused", r"s|\(allowencodedslash\)=true|\1=false|"),
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
