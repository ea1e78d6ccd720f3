"""Seeded defects of who is told of alerts: one that is silenced, two that do not know each other."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from addons.prometheus.section_config import NAMESPACE
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Defect, breakage, filtered
from lab.selftest.on_cluster import PODS_NETWORK, rewritten

SPACE = f"-n {NAMESPACE}"
SILENCES = f"/api/v1/namespaces/{NAMESPACE}/pods/alertmanager-0:9093/proxy/api/v2/silence"
GOSSIP = 9094
BOTH = "both Alertmanagers"
LOST_SECONDS = 30
"""Until a member that no longer answers is called dead by the other one."""


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    return [
        breakage(
            layer="services",
            name="silence-left",
            title="somebody has silenced everything for a day, and forgot it",
            row="L3-28",
            says="alertmanager-1: Watchdog: suppressed by silence",
            needs=(PODS_NETWORK, BOTH),
            **_silenced(lab),
        ),
        breakage(
            layer="services",
            name="gossip-cut",
            title="a worker's firewall keeps the Alertmanagers from telling each other",
            row="P3-56",
            says="alertmanager-[01]: is ready and sees 1 of 2",
            stops=(BOTH,),
            alone=True,
            at=lab.workers[0],
            **_apart(),
        ),
        breakage(
            layer="services",
            name="receiver-of-nobody",
            title="one Alertmanager has read a route by which the dead man's switch is never told",
            row="P3-57",
            says="alertmanager-1: route.routes.1..matchers: .*Watchdogs.* is loaded",
            stops=(BOTH,),
            reddens=("P2-07", "L3-27"),
            alone=True,
            **_read_anew(lab, "receiver-of-nobody", "s/alertname=\\(.*\\)Watchdog/alertname=\\1Watchdogs/"),
        ),
        breakage(
            layer="services",
            name="alerts-wait-longer",
            title="one Alertmanager waits a minute longer than it should before it tells anything",
            row="P3-57",
            says="alertmanager-1: route.group_wait: 2m is loaded, 1m is rendered",
            stops=(BOTH,),
            reddens=("P2-07", "L3-27"),
            alone=True,
            **_read_anew(lab, "alerts-wait-longer", "s/group_wait: 1m$/group_wait: 2m/"),
        ),
    ]


def _silenced(lab: Inventory) -> dict[str, Any]:
    """Damage and repair of a silence for all alerts, by its number, which is kept."""
    kept = f"{KEPT}/silence-left"
    matcher = {"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True}
    body = {"matchers": [matcher], "createdBy": "plumbline", "comment": "a seeded defect"}
    begin, end = "$(date -u +%FT%TZ)", "$(date -u -d +1day +%FT%TZ)"
    text = json.dumps(body | {"startsAt": "BEGIN", "endsAt": "END"})
    return {
        "at": lab.masters[0],
        "damage": f'mkdir -p {KEPT} && echo {quote(text)} | sed "s/BEGIN/{begin}/; s/END/{end}/"'
        f" | {KUBECTL} create --raw {SILENCES}s -f - > {kept} && sleep 5",
        "repair": f"test ! -e {kept} || {{ {KUBECTL} delete --raw"
        f" {SILENCES}/$(grep -o '[0-9a-f]\\{{8\\}}-[0-9a-f-]*' {kept}) && rm {kept}; }}",
        "touches": ("silences of Alertmanager",),
    }


def _apart() -> dict[str, Any]:
    """Damage and repair of the way between them, until each calls the other dead."""
    cut = filtered(f"tcp dport {GOSSIP} drop", f"udp dport {GOSSIP} drop", hook="forward", name="gossip")
    return {**cut, "damage": f"{cut['damage']} && sleep {LOST_SECONDS}"}


def _read_anew(lab: Inventory, name: str, program: str) -> dict[str, Any]:
    """Damage and repair of the configuration, read by one member that begins anew."""
    changed = rewritten(lab, name, "configmap/alertmanager", NAMESPACE, program)
    mark = f"{KEPT}/{name}.anew"
    anew = (
        f"{KUBECTL} {SPACE} delete pod alertmanager-1 --grace-period=1 >/dev/null"
        f" && {KUBECTL} {SPACE} rollout status statefulset alertmanager --timeout=45s >/dev/null"
    )
    return changed | {
        "damage": f"mkdir -p {KEPT} && touch {mark} && {changed['damage']} && {anew}",
        "repair": f"test ! -e {mark} || {{ {changed['repair']} && {anew} && rm {mark}; }}",
    }
