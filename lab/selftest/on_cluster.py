"""Damage and repair of objects of the cluster, by kubectl on the first master."""

from __future__ import annotations

from shlex import quote

from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"


def quoted(text: str) -> str:
    """A JSON string."""
    return f'"{text}"'


def kubectl(lab: Inventory, damage: str, repair: str) -> dict[str, str]:
    """Damage and repair by two kubectl commands on the first master."""
    return {"at": lab.masters[0], "damage": f"{KUBECTL} {damage}", "repair": f"{KUBECTL} {repair}"}


def rewritten(lab: Inventory, name: str, kind: str, space: str, program: str) -> dict[str, str]:
    """Damage and repair of an object whose text a sed program changes."""
    kept, item = f"{KEPT}/{name}", f"{KUBECTL} -n {space} get {kind} -o yaml"
    # without its version, or the original would be refused as outdated when it comes back
    original = f"{item} | sed '/^  resourceVersion:/d; /^  uid:/d' > {kept}.part && mv {kept}.part {kept}"
    return {
        "at": lab.masters[0],
        "damage": f"mkdir -p {KEPT} && {original}"
        f" && sed {quote(program)} {kept} | {KUBECTL} replace -f - >/dev/null",
        "repair": f"test ! -e {kept} || {{ {KUBECTL} replace -f {kept} >/dev/null && rm {kept}; }}",
    }


def made(lab: Inventory, kind: str, name: str, text: str, space: str = "") -> dict[str, str]:
    """Damage and repair of an object that nobody asked for."""
    inside = f" -n {space}" if space else ""
    return {
        "at": lab.masters[0],
        "damage": f"echo {quote(text)} | {KUBECTL}{inside} apply -f -",
        "repair": f"{KUBECTL}{inside} delete {kind} {name} --ignore-not-found --wait=false --grace-period=0",
    }
