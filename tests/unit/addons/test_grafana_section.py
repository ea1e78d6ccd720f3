"""Grafana in a lab: its objects are what the inventory says, and it asks whom the other add-ons bring."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from addons.grafana.dashboards import DASHBOARDS
from addons.grafana.dashboards.as_json import METRICS
from addons.grafana.dashboards.known import jobs
from addons.grafana.dashboards.questions import Window, questions
from addons.grafana.section import data_sources, slowest
from addons.prometheus.section_jobs import jobs as scraped
from addons.prometheus.section_jobs import targets
from lab.addons import addons, selected
from lab.inventory.models import Inventory
from lab.render.addons import objects
from tests.promql import parsed, selectors
from tests.world import INVENTORY, inventory

GRAFANA = next(item for item in addons() if item.name == "grafana")


def lab(observability: str) -> Inventory:
    return inventory(f"{INVENTORY}observability: {observability}\n")


def made(wanted: Inventory) -> dict[str, dict[str, Any]]:
    """Its objects by kind and name."""
    found = objects(wanted, GRAFANA, {})
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in found}


def test_it_is_a_part_of_a_lab_that_asks_for_it() -> None:
    assert GRAFANA in selected(lab("{grafana: {}}"))
    assert GRAFANA not in selected(lab("{}"))
    assert GRAFANA not in selected(inventory())


def test_it_answers_on_its_machine_and_port_alone() -> None:
    found = made(lab("{grafana: {host: worker-2, port: 30123}}"))
    service, pod = found["Service/grafana"]["spec"], found["Deployment/grafana"]["spec"]["template"]["spec"]
    assert service["type"] == "NodePort"
    assert service["externalTrafficPolicy"] == "Local"
    assert [port["nodePort"] for port in service["ports"]] == [30123]
    assert pod["nodeSelector"] == {"kubernetes.io/hostname": "worker-2"}
    environment = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert environment["GF_SERVER_ROOT_URL"] == "http://10.1.1.32:30123"
    assert found["Deployment/grafana"]["spec"]["strategy"] == {"type": "Recreate"}


def test_its_password_comes_by_a_file_of_the_kept_secret() -> None:
    (secret,) = GRAFANA.secrets
    assert secret.kept
    pod = made(lab("{grafana: {}}"))["Deployment/grafana"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    volumes = {one["secret"]["secretName"]: one["name"] for one in pod["volumes"] if "secret" in one}
    path = f"{mounts[volumes[secret.name]]}/{secret.key}"
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == path


def test_each_dashboard_lies_where_grafana_looks() -> None:
    found = made(lab("{grafana: {}}"))
    pod = found["Deployment/grafana"]["spec"]["template"]["spec"]
    (volume,) = [one for one in pod["volumes"] if one["name"] == "dashboards"]
    names = [one["configMap"]["name"] for one in volume["projected"]["sources"]]
    assert names == [page.uid for page in DASHBOARDS]
    for name in names:
        ((file, text),) = found[f"ConfigMap/{name}"]["data"].items()
        assert (file, json.loads(text)["uid"]) == (f"{name}.json", name)
    providers = yaml.safe_load(found["ConfigMap/grafana-providers"]["data"]["providers.yaml"])["providers"]
    mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert [one["options"]["path"] for one in providers] == [mounts["dashboards"]]
    assert [one["allowUiUpdates"] for one in providers] == [False]
    environment = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{mounts['dashboards']}/{DASHBOARDS[0].uid}.json"


def test_changed_data_sources_start_it_anew_and_changed_dashboards_do_not() -> None:
    def annotations(observability: str) -> dict[str, str]:
        template = made(lab(observability))["Deployment/grafana"]["spec"]["template"]
        found: dict[str, str] = template["metadata"]["annotations"]
        return found

    plain = annotations("{grafana: {}}")
    assert annotations("{grafana: {}, prometheus: {retention_days: 3}}") == plain
    assert annotations("{grafana: {}, prometheus: {scrape_seconds: 15}}") != plain


def test_its_data_sources_have_the_uids_that_dashboards_name() -> None:
    found = {one["uid"]: one for one in data_sources(lab("{grafana: {}}"))["datasources"]}
    assert list(found) == ["prometheus", "alertmanager"]
    assert found[str(METRICS.uid)]["type"] == METRICS.type_val
    assert found["prometheus"]["jsonData"] == {"timeInterval": "60s"}
    assert [one["uid"] for one in found.values() if one.get("isDefault")] == ["prometheus"]


@pytest.mark.parametrize(
    ("store", "there"),
    [("loki", ["prometheus", "alertmanager", "loki"]), ("victorialogs", ["prometheus", "alertmanager"])],
)
def test_only_loki_is_a_data_source_of_logs(store: str, there: list[str]) -> None:
    wanted = lab(f"{{grafana: {{}}, logs: {{store: {store}}}}}")
    assert [one["uid"] for one in data_sources(wanted)["datasources"]] == there


def test_every_rate_sees_several_scrapes_of_the_slowest_job() -> None:
    wanted = lab("{grafana: {}, prometheus: {scrape_seconds: 20}}")
    pauses = [20 * job.every for job in scraped(wanted)]
    assert slowest(wanted) == max(pauses)
    assert Window(3600, slowest(wanted)).rate_seconds >= 4 * max(pauses)


@pytest.mark.parametrize("store", ["loki", "victorialogs"])
def test_the_jobs_of_the_list_are_those_that_are_scraped(store: str) -> None:
    wanted = lab(f"{{grafana: {{}}, logs: {{store: {store}}}}}")
    here = {addon.name for addon in selected(wanted)}
    listed = {name for name, job in jobs().items() if name != "*" and (not job.addon or job.addon in here)}
    # no panel asks about the kubelet's probes
    assert listed == targets(wanted).keys() - {"probes"}


def test_the_buckets_that_dashboards_ask_for_are_kept() -> None:
    kept = {job.name: job.histograms for job in scraped(lab("{}"))}
    asked = {
        (selector.equal("job"), selector.name.removesuffix("_bucket"))
        for question in questions(DASHBOARDS, Window(3600, 60))
        for selector in selectors(parsed(question.expr))
        if selector.name.endswith("_bucket")
    }
    assert [
        (job, name) for job, name in asked if (found := kept.get(job)) is not None and name not in found
    ] == []
