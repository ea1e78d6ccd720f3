"""Secrets of people's passwords: planned without a word of them, made once, and changed by the kept file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from lab.addons import addons
from lab.addons.mark import LABEL
from lab.addons.model import Secret
from lab.cluster.passwords import ensure_password, password, password_changes
from lab.errors import FailedError
from lab.passwords import Passwords
from tests.fake_api import FakeApi

TRAEFIK = next(item for item in addons() if item.name == "traefik")
WANTED = Secret(namespace="monitoring", name="grafana-admin", key="password", kept=True)
PATH = "/api/v1/namespaces/monitoring/secrets/grafana-admin"
PODS = "/api/v1/namespaces/monitoring/pods"


def cluster(*, pods: bool = False) -> FakeApi:
    """A cluster with the namespace; with a pod that reads the Secret, and one that does not."""
    api = FakeApi()
    api.objects["/api/v1/namespaces/monitoring"] = {"metadata": {"name": "monitoring"}}
    volumes: dict[str, dict[str, object]] = {
        "grafana-1": {"secret": {"secretName": "grafana-admin"}},
        "other-1": {"emptyDir": {}},
    }
    for name, volume in volumes.items() if pods else ():
        meta = {"name": name, "namespace": "monitoring", "uid": name}
        api.objects[f"{PODS}/{name}"] = {"metadata": meta, "spec": {"volumes": [{"name": "v", **volume}]}}
    return api


def living(api: FakeApi) -> str:
    return base64.b64decode(api.objects[PATH]["data"]["password"]).decode()


def of_lab(value: str) -> dict[str, Any]:
    """What is in the Secret of a lab."""
    data = {"password": base64.b64encode(value.encode()).decode()}
    return {"metadata": {"namespace": "monitoring", "name": "grafana-admin"}, "data": data}


def test_a_missing_one_is_planned_and_made_once(tmp_path: Path) -> None:
    api, passwords = cluster(), Passwords(tmp_path)
    (change,) = password_changes(api, WANTED, passwords)
    assert change.sentence == "create Secret/monitoring/grafana-admin"
    assert change.after == f"password kept in {tmp_path}/monitoring.grafana-admin\n"
    assert (api.applied, passwords.kept("monitoring", "grafana-admin")) == ([], "")
    assert ensure_password(api, TRAEFIK, WANTED, passwords) == 1
    assert living(api) == passwords.kept("monitoring", "grafana-admin") != ""
    assert api.objects[PATH]["metadata"]["labels"] == {LABEL: "traefik"}
    assert password_changes(api, WANTED, passwords) == []
    assert ensure_password(api, TRAEFIK, WANTED, passwords) == 0
    assert (api.applied, api.deleted) == ([PATH], [])


def test_a_cluster_that_is_made_anew_gets_the_kept_one(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path)
    made = passwords.make("monitoring", "grafana-admin")
    api = cluster()
    assert ensure_password(api, TRAEFIK, WANTED, passwords) == 1
    assert living(api) == made


def test_a_password_that_is_not_kept_here_is_taken_from_the_lab(tmp_path: Path) -> None:
    api = cluster()
    ensure_password(api, TRAEFIK, WANTED, Passwords(tmp_path / "one"))
    for other, use in (("two", "build"), ("three", "open")):
        passwords = Passwords(tmp_path / other)
        assert password_changes(api, WANTED, passwords) == []
        if use == "build":
            assert ensure_password(api, TRAEFIK, WANTED, passwords) == 0
        else:
            assert password(api, WANTED, passwords) == living(api)
        assert passwords.kept("monitoring", "grafana-admin") == living(api)
    assert api.applied == [PATH]


def test_the_file_of_a_person_changes_the_lab_and_its_pods(tmp_path: Path) -> None:
    api, passwords = cluster(pods=True), Passwords(tmp_path)
    passwords.keep("monitoring", "grafana-admin", "the old one")
    api.apply({"apiVersion": "v1", "kind": "Secret", **of_lab("the old one")})
    before = living(api)
    passwords.file("monitoring", "grafana-admin").write_text("my own\n")
    changes = password_changes(api, WANTED, passwords)
    assert [change.sentence for change in changes] == [
        "change Secret/monitoring/grafana-admin",
        "replace Pod/monitoring/grafana-1, which was started with another password",
    ]
    told = "".join(f"{change.before}{change.after}{change.diff}" for change in changes)
    assert "my own" not in told
    assert before not in told
    assert ensure_password(api, TRAEFIK, WANTED, passwords) == 2
    assert living(api) == password(api, WANTED, passwords) == "my own"
    assert api.deleted == [f"{PODS}/grafana-1"]
    assert password_changes(api, WANTED, passwords) == []


def test_a_run_that_was_cut_after_the_secret_is_gone_on_with(tmp_path: Path) -> None:
    api, passwords = cluster(pods=True), Passwords(tmp_path)
    api.apply({"apiVersion": "v1", "kind": "Secret", **of_lab("of the lab")})
    (entry,) = api.objects[PATH]["metadata"]["managedFields"]
    api.objects[PATH]["metadata"]["managedFields"] = [entry | {"time": "2026-12-01T10:00:00Z"}]
    pod = api.objects[f"{PODS}/grafana-1"]["metadata"]
    for created, old in (("2026-12-01T10:00:00Z", 0), ("2026-12-01T09:59:59Z", 1)):
        pod["creationTimestamp"] = created
        changes = password_changes(api, WANTED, passwords)
        assert [change.sentence for change in changes] == [
            "replace Pod/monitoring/grafana-1, which was started with another password"
        ][:old]
        assert ensure_password(api, TRAEFIK, WANTED, passwords) == old
    assert api.deleted == [f"{PODS}/grafana-1"]
    assert api.applied == [PATH]


def test_pods_of_a_secret_that_was_deleted_read_the_new_one(tmp_path: Path) -> None:
    api, passwords = cluster(pods=True), Passwords(tmp_path)
    assert [change.sentence.split()[0] for change in password_changes(api, WANTED, passwords)] == [
        "create",
        "replace",
    ]
    assert ensure_password(api, TRAEFIK, WANTED, passwords) == 2
    assert api.deleted == [f"{PODS}/grafana-1"]


def test_a_lab_without_it_has_none(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path)
    assert password(cluster(), WANTED, passwords) == ""
    assert passwords.kept("monitoring", "grafana-admin") == ""


def test_a_file_that_cannot_be_one_stops_plan_and_build(tmp_path: Path) -> None:
    api, passwords = cluster(), Passwords(tmp_path)
    ensure_password(api, TRAEFIK, WANTED, passwords)
    passwords.file("monitoring", "grafana-admin").write_text("")
    with pytest.raises(FailedError, match="must hold one line"):
        password_changes(api, WANTED, passwords)
    with pytest.raises(FailedError, match="must hold one line"):
        ensure_password(api, TRAEFIK, WANTED, passwords)
    assert living(api) != ""
