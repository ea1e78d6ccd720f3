"""Damage and repair of objects of the cluster, by kubectl on the first master."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.selftest.defect import KEPT

PODS_NETWORK = "the pods' network"
"""What carries an API server's question to a webhook."""

APPS = "the pods of checks"
"""Echo servers, one of them on each worker at least, all on one port."""


def quoted(text: str) -> str:
    """A JSON string."""
    return f'"{text}"'


def kubectl(lab: Inventory, damage: str, repair: str, *objects: str) -> dict[str, Any]:
    """Damage and repair by two kubectl commands on the first master; `objects` are those that are changed."""
    return {
        "at": lab.masters[0],
        "damage": f"{KUBECTL} {damage}",
        "repair": f"{KUBECTL} {repair}",
        "touches": objects,
    }


def rewritten(lab: Inventory, name: str, kind: str, space: str, program: str) -> dict[str, Any]:
    """Damage and repair of an object whose text a sed program changes."""
    kept, item = f"{KEPT}/{name}", f"{KUBECTL} -n {space} get {kind} -o yaml"
    # without its version, or the original would be refused as outdated when it comes back
    original = f"{item} | sed '/^  resourceVersion:/d; /^  uid:/d' > {kept}.part && mv {kept}.part {kept}"
    return {
        "at": lab.masters[0],
        "damage": f"mkdir -p {KEPT} && {original}"
        f" && sed {quote(program)} {kept} | {KUBECTL} replace -f - >/dev/null",
        "repair": f"test ! -e {kept} || {{ {KUBECTL} replace -f {kept} >/dev/null && rm {kept}; }}",
        "touches": (kind,),
    }


def made(lab: Inventory, kind: str, name: str, text: str, space: str = "") -> dict[str, Any]:
    """Damage and repair of an object that nobody asked for."""
    inside = f" -n {space}" if space else ""
    return {
        "at": lab.masters[0],
        "damage": f"echo {quote(text)} | {KUBECTL}{inside} apply -f -",
        "repair": f"{KUBECTL}{inside} delete {kind} {name} --ignore-not-found --wait=false --grace-period=0",
        "touches": (f"{kind}/{name}",),
    }


def removed(lab: Inventory, kind: str, name: str, space: str) -> dict[str, Any]:
    """Damage and repair of an object of a namespace that is deleted."""
    kept = f"{KEPT}/{kind}-{name}"
    item = f"{KUBECTL} -n {space} get {kind} {name} -o yaml"
    unique = "/^  resourceVersion:/d; /^  uid:/d; /^  creationTimestamp:/d"
    return {
        "at": lab.masters[0],
        "damage": f"mkdir -p {KEPT} && {item} | sed '{unique}' > {kept}.part && mv {kept}.part {kept}"
        f" && {KUBECTL} -n {space} delete {kind} {name} >/dev/null",
        "repair": f"test ! -e {kept} || {{ {KUBECTL} apply -f {kept} >/dev/null && rm {kept}; }}",
        "touches": (f"{kind}/{name}",),
    }


def stranger(
    lab: Inventory, version: str, kind: str, name: str, fields: Object, space: str = ""
) -> dict[str, Any]:
    """Damage and repair of an object that nobody declared: `fields` beside its apiVersion, kind and name."""
    meta = {"name": name} | fields.get("metadata", {})
    item = {"apiVersion": version, "kind": kind} | fields | {"metadata": meta}
    return made(lab, kind.lower(), name, json.dumps(item), space)
