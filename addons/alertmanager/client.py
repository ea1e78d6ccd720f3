"""The Alertmanagers of a lab, each asked by itself, and what is wrong with their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from addons.alertmanager.section import MEMBERS, PORT
from addons.prometheus.asking import SHOW, ApiQuestion, asked, living
from addons.prometheus.loaded import otherwise
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.objects import Object
from lab.own_yaml import loads

HEARD_SECONDS = 120
"""How old the newest word about an alert that fires may be: Prometheus says it again every minute."""


@dataclass(frozen=True)
class Alertmanagers:
    """All of them, of one lab, which has them."""

    driver: Driver

    @property
    def pods(self) -> list[Object]:
        """Their pods. Raises `CouldNotTell` when one is missing."""
        found = living(self.driver, "alertmanager")
        if len(found) != MEMBERS:
            raise CouldNotTell(f"Alertmanager: {len(found)} of {MEMBERS} pods", next_step=SHOW)
        return found

    def told(self, path: str) -> dict[str, Any]:
        """What each answers, by its pod's name. Raises `CouldNotTell` when one does not."""
        found = {}
        for pod in self.pods:
            name = str(pod["metadata"]["name"])
            (reply,) = asked(self.driver, pod, PORT, [ApiQuestion(path)])
            if reply.status != 200:
                said = reply.body[:200] or "no answer in time"
                raise CouldNotTell(f"{name}: {path}: status {reply.status}: {said}", next_step=SHOW)
            found[name] = json.loads(reply.body)
        return found

    def alerts(self, **labels: str) -> dict[str, list[Object]]:
        """The alerts that each knows, active or held back, with these labels."""
        matchers = [f'{key}="{value}"' for key, value in labels.items()]
        filters = "&".join(f"filter={quote(matcher)}" for matcher in matchers)
        return {name: list(said) for name, said in self.told(f"/api/v2/alerts?{filters}").items()}


def unheard(name: str, told: Mapping[str, Sequence[Object]], now: float) -> list[str]:
    """What keeps an alert that fires from being active, and newly heard of, in each member."""
    wrong = []
    for member, alerts in told.items():
        if not alerts:
            wrong.append(f"{member}: {name}: not there")
        for alert in alerts:
            if reason := held_back(alert):
                wrong.append(f"{member}: {name}: {reason}")
            age = now - datetime.fromisoformat(alert["updatedAt"]).timestamp()
            if age > HEARD_SECONDS:
                wrong.append(f"{member}: {name}: heard of {age:.0f} s ago")
    return wrong


def held_back(alert: Object) -> str:
    """Why an alert is told to nobody, "" when it is told."""
    status = alert["status"]
    if status["state"] == "active":
        return ""
    causes = [
        f"{word} {', '.join(status[key])}"
        for key, word in (("silencedBy", "silence"), ("inhibitedBy", "alert"), ("mutedBy", "time"))
        if status.get(key)
    ]
    return f"{status['state']} by {'; '.join(causes)}" if causes else str(status["state"])


def alone(told: Mapping[str, Object]) -> list[str]:
    """Members that do not see all others, by their answers to /api/v2/status."""
    wrong = []
    for member, status in told.items():
        cluster = status["cluster"]
        peers = sorted(peer["address"] for peer in cluster.get("peers") or ())
        if cluster["status"] != "ready" or len(peers) != MEMBERS:
            seen = ", ".join(peers) or "nobody"
            wrong.append(f"{member}: is {cluster['status']} and sees {len(peers)} of {MEMBERS}: {seen}")
    return wrong


def configured_otherwise(told: Mapping[str, Object], rendered: Mapping[str, Any]) -> list[str]:
    """Members that have loaded another configuration, and in what it differs."""
    return [
        f"{member}: {difference}"
        for member, status in told.items()
        for difference in otherwise(rendered, loads(status["config"]["original"]))
    ]


def told_of(told: Mapping[str, Sequence[Object]]) -> dict[str, list[str]]:
    """The machines that each member's alerts are about; what is held back with the reason."""
    return {
        member: sorted(
            " ".join(word for word in (alert["labels"].get("host", "no machine"), held_back(alert)) if word)
            for alert in alerts
        )
        for member, alerts in told.items()
    }
