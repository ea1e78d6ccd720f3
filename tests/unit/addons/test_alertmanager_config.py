"""Who is told of alerts: a route for everybody, and no secret in anything that is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from addons.alertmanager.section_config import SECRETS, configuration
from addons.alertmanager.section_inhibition import INHIBITIONS
from lab.addons import addons
from lab.inventory import load
from lab.inventory.addon_sections import outside
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.render.addons import objects
from tests.world import INVENTORY, inventory

ALERTMANAGER = next(item for item in addons() if item.name == "alertmanager")
WHOLE = load(str(ALERTMANAGER.folder.parent / "prometheus/fixtures/valid/observability-whole.yaml"))
BARE = inventory(INVENTORY + "\nobservability: {}\n")
WATCHDOG = {"alertname": "Watchdog", "severity": "none"}


def told(lab: Inventory, labels: dict[str, str], sink: str = "") -> list[str]:
    """The receivers of an alert, by the routes: the first that fits, and those behind one that goes on."""
    found = []
    route = configuration(lab, sink)["route"]
    for item in route["routes"]:
        pairs = [matcher.replace('"', "").split("=") for matcher in item.get("matchers", ())]
        if all(labels.get(name, "") == value for name, value in pairs):
            found.append(item["receiver"])
            if not item.get("continue"):
                return found
    return found or [route["receiver"]]


def receiver(lab: Inventory, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in configuration(lab)["receivers"] if item["name"] == name)
    return found


def made(lab: Inventory, kind: str) -> Object:
    return next(item for item in objects(lab, ALERTMANAGER, {}) if item["kind"] == kind)


def test_everybody_is_told_of_what_people_are_to_know() -> None:
    people = [f"to-{name}" for name in ("phone", "house", "watch", "chat", "me", "you")]
    assert told(WHOLE, {"alertname": "HostDown", "severity": "critical"}) == people
    assert told(WHOLE, WATCHDOG) == ["dead-mans-switch"]
    assert told(WHOLE, {"alertname": "InfoInhibitor", "severity": "none"}) == ["nobody"]
    assert told(WHOLE, {"alertname": "HostDown", "severity": "critical", "short_for": "true"}) == ["nobody"]
    assert told(BARE, {"alertname": "HostDown", "severity": "critical"}) == ["nobody"]
    assert told(BARE, WATCHDOG) == ["nobody"]


def test_the_suite_hears_everything_at_once_and_people_what_they_did() -> None:
    short = {"alertname": "HostDown", "severity": "critical", "short_for": "true"}
    assert told(BARE, short, "http://sink") == ["acceptance-suite", "nobody"]
    assert told(WHOLE, WATCHDOG, "http://sink") == ["acceptance-suite", "dead-mans-switch"]
    first = configuration(WHOLE, "http://sink")["route"]["routes"][0]
    assert (first["group_wait"], first["group_interval"]) == ("1s", "10s")


@pytest.mark.parametrize("lab", [WHOLE, BARE], ids=["whole", "bare"])
def test_every_route_has_its_receiver_and_every_receiver_its_route(lab: Inventory) -> None:
    found = configuration(lab, "http://sink")
    names = [item["name"] for item in found["receivers"]]
    assert len({*names}) == len(names)
    assert {found["route"]["receiver"], *(item["receiver"] for item in found["route"]["routes"])} == {*names}
    assert len(found["inhibit_rules"]) == len(INHIBITIONS)


def test_each_kind_is_told_in_its_own_way() -> None:
    token = {"authorization": {"credentials_file": f"{SECRETS}/phone"}}
    assert receiver(WHOLE, "to-phone")["webhook_configs"] == [
        {
            "url": "https://ntfy.example.com/alerts?template=alertmanager",
            "http_config": token,
            "send_resolved": True,
        }
    ]
    assert receiver(WHOLE, "to-watch")["webhook_configs"] == [
        {"url_file": f"{SECRETS}/watch", "send_resolved": True}
    ]
    assert "http_config" not in receiver(WHOLE, "to-house")["webhook_configs"][0]
    assert receiver(WHOLE, "to-chat")["slack_configs"][0]["api_url_file"] == f"{SECRETS}/chat"
    mail = receiver(WHOLE, "to-me")["email_configs"][0]
    assert (mail["auth_username"], mail["auth_password_file"]) == ("lab", f"{SECRETS}/me")
    assert "auth_username" not in receiver(WHOLE, "to-you")["email_configs"][0]


def test_each_file_that_is_named_is_a_key_of_the_secret_that_is_mounted() -> None:
    (wanted,) = outside(WHOLE, ALERTMANAGER)
    text = yaml.safe_dump(configuration(WHOLE))
    named = {word.rpartition("/")[2].rstrip(",") for word in text.split() if word.startswith(SECRETS)}
    assert named == {*wanted.files} == {"phone", "watch", "chat", "me"}
    pod = made(WHOLE, "StatefulSet")["spec"]["template"]["spec"]
    volume = next(item for item in pod["volumes"] if item["name"] == "secrets")
    assert volume["secret"]["secretName"] == wanted.name
    mount = next(item for item in pod["containers"][0]["volumeMounts"] if item["name"] == "secrets")
    assert mount["mountPath"] == SECRETS
    assert outside(BARE, ALERTMANAGER) == ()


def test_a_file_is_named_by_its_place_and_never_opened_when_objects_are_rendered(tmp_path: Path) -> None:
    file = tmp_path / "phone.secret"
    file.write_text("tk_very_secret\n")
    phone = f"{{name: phone, kind: ntfy, url: https://ntfy.sh/x, secret_file: {file}}}"
    lab = inventory(INVENTORY + f"\nobservability: {{alertmanager: {{receivers: [{phone}]}}}}\n")
    assert "tk_very_secret" not in str(objects(lab, ALERTMANAGER, {}))
    assert outside(lab, ALERTMANAGER)[0].problems(Path("/checkout"))[0][0] == (
        "observability.alertmanager.receivers[0].secret_file"
    )


def test_the_two_are_apart_and_roll_when_the_configuration_changes() -> None:
    whole, bare = made(WHOLE, "StatefulSet"), made(BARE, "StatefulSet")
    assert whole["spec"]["replicas"] == 2
    template = whole["spec"]["template"]
    assert template["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert template["metadata"]["annotations"] != bare["spec"]["template"]["metadata"]["annotations"]
    one = INVENTORY.replace("  worker-2: {role: worker, address: 10.1.1.32}\n", "") + "\nobservability: {}\n"
    one = one.replace("ingress: {address: 10.1.1.100}\n", "")
    alone = made(inventory(one), "StatefulSet")["spec"]["template"]["spec"]
    assert alone["affinity"] == {}
    assert yaml.safe_load(made(WHOLE, "ConfigMap")["data"]["alertmanager.yaml"]) == configuration(WHOLE)
