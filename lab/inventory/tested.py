"""The versions that the artefact catalogue has, by the section of the inventory that names one of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lab.own_yaml import read

CATALOGUE = Path(__file__).resolve().parents[2] / "artifacts" / "catalogue.yaml"
_COMPONENTS = {"metallb": "metallb-controller", "ingress": "traefik"}
"""The component of a section where its name is another."""


@cache
def _versions() -> dict[str, str]:
    components = read(CATALOGUE.read_text())["components"]
    return {name: item["version"] for name, item in components.items()}


def tested(section: str) -> tuple[str, ...]:
    """The versions that a section may name, the default first; none where it names no version of ours."""
    version = _versions().get(_COMPONENTS.get(section, section))
    return (version,) if version else ()


def default_version(section: str) -> str:
    """The version that a section has unless it says otherwise."""
    return tested(section)[0]
