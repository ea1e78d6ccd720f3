"""Alertmanager's configuration as data: who is told of what, and what greater things leave unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from addons.alertmanager.section_inhibition import INHIBITIONS
from addons.prometheus.section_model import Observability, Receiver
from addons.prometheus.section_rule_files import SHORT
from lab.inventory.models import Inventory

SECRETS = "/etc/alertmanager/secrets"
"""Folder of the pods in which there is a file for each receiver that has a secret, by the receiver's name."""
NOBODY, SWITCH, SUITE = "nobody", "dead-mans-switch", "acceptance-suite"
TIMES = {"group_wait": "1m", "group_interval": "5m", "repeat_interval": "12h"}
"""A minute, because what follows from the death of a machine is noticed before the death itself."""
BEAT = {"group_wait": "0s", "group_interval": "2m", "repeat_interval": "150s"}
"""Of what says that all is well: so often that whoever listens knows soon that it ended."""
AT_ONCE = {"group_wait": "1s", "group_interval": "10s", "repeat_interval": "1m"}


def configuration(inventory: Inventory, sink: str = "") -> dict[str, Any]:
    """The content of alertmanager.yaml.

    With `sink`, the URL of a webhook, everything goes there at once as well: the acceptance suite's.
    """
    section = inventory.section(Observability).alertmanager
    people = [item.name for item in section.receivers]
    switch = SWITCH if section.dead_mans_switch else NOBODY
    routes: list[dict[str, Any]] = []
    if sink:
        routes.append({"receiver": SUITE, "group_by": ["..."], "continue": True, **AT_ONCE})
    routes += [
        # the suite's copy of the rules, which fires sooner
        {"receiver": NOBODY, "matchers": [f'{SHORT}="true"']},
        {"receiver": switch, "matchers": ['alertname="Watchdog"'], **BEAT},
        # for this program, not for people
        {"receiver": NOBODY, "matchers": ['severity="none"']},
        *({"receiver": f"to-{name}", "continue": True} for name in people),
    ]
    return {
        "global": {"resolve_timeout": "5m"},
        # one message tells what there is about one machine, or one namespace
        "route": {"receiver": NOBODY, "group_by": ["host", "namespace"], **TIMES, "routes": routes},
        "inhibit_rules": [rule.written() for rule in INHIBITIONS],
        "receivers": list(_receivers(section.receivers, section.dead_mans_switch, sink)),
    }


def _receivers(people: tuple[Receiver, ...], switch: str | None, sink: str) -> Iterator[dict[str, Any]]:
    yield {"name": NOBODY}
    if switch:
        yield {"name": SWITCH, "webhook_configs": [{"url": switch, "send_resolved": False}]}
    if sink:
        yield {"name": SUITE, "webhook_configs": [{"url": sink, "send_resolved": True}]}
    for item in people:
        kind = {"email": "email_configs", "slack": "slack_configs"}.get(item.kind, "webhook_configs")
        # a name of somebody's may be one of ours
        yield {"name": f"to-{item.name}", kind: [{**_way(item), "send_resolved": True}]}


def _way(item: Receiver) -> dict[str, Any]:
    """How one receiver is told. Its secret is a file of the pod, and never stands here."""
    secret = f"{SECRETS}/{item.name}"
    if item.kind == "email":
        login = {"auth_username": item.user, "auth_password_file": secret} if item.user else {}
        return {"to": item.to, "from": item.sender, "smarthost": item.server, **login}
    if item.kind == "slack":
        lines = "{{ range .Alerts }}{{ .Status }}: {{ .Annotations.summary }}\n{{ end }}"
        return {"api_url_file": secret, "text": lines}
    if not item.url:
        return {"url_file": secret}
    token = {"http_config": {"authorization": {"credentials_file": secret}}} if item.secret_file else {}
    return {"url": _rendered_by_ntfy(item.url) if item.kind == "ntfy" else item.url, **token}


def _rendered_by_ntfy(url: str) -> str:
    """ntfy makes a message of our JSON by a template of its own, if it is asked to."""
    return f"{url}{'&' if '?' in url else '?'}template=alertmanager"
