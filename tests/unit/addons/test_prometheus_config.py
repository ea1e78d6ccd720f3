"""Prometheus' configuration of three labs: every target of the inventory, and no series that nobody reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import yaml

from addons.prometheus import section_config, section_jobs
from addons.prometheus.section_config import configuration, memory, rules, shared_kernel, text
from addons.prometheus.section_jobs import jobs, targets
from addons.prometheus.section_rules import metrics, rule_files
from lab.addons import AddOn, addons, selected
from lab.inventory import files
from lab.inventory.addon_sections import addresses
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.render.addons import objects
from lab.render.firewall import listening
from tests.world import INVENTORY, inventory

SECTION = "\nobservability: {}\n"
MINIMAL = (files.FOLDER.parent / "tests/fixtures/inventory/valid/minimal.yaml").read_text()
LABS = {
    "rehearsal": parse((files.FOLDER / "rehearsal.yaml").read_text() + SECTION, "rehearsal.yaml"),
    "production": parse((files.FOLDER / "production.yaml").read_text() + SECTION, "production.yaml"),
    "minimal": parse(MINIMAL + SECTION, "minimal.yaml"),
}
OURS = [item for item in addons() if item.name in ("prometheus", "alertmanager", "kube-state-metrics")]


@pytest.fixture(params=LABS)
def lab(request: pytest.FixtureRequest) -> Inventory:
    return LABS[request.param]


def made(lab: Inventory, addon: AddOn) -> list[Object]:
    return objects(lab, addon, {})


def found(items: Iterable[Object], kind: str, name: str) -> Object:
    return next(item for item in items if (item["kind"], item["metadata"]["name"]) == (kind, name))


def relabelled(config: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str] | None:
    """What is kept of a series, by Prometheus' rules of relabelling; None when it is dropped."""
    now = dict(labels)
    for rule in config.get("metric_relabel_configs", ()):
        value = rule.get("separator", ";").join(now.get(name, "") for name in rule["source_labels"])
        match = re.fullmatch(rule["regex"], value)
        if rule.get("action") == "drop" and match:
            return None
        if "target_label" in rule and match:
            now[rule["target_label"]] = rule["replacement"]
    return {name: value for name, value in now.items() if value and not name.startswith("__tmp")}


def job(lab: Inventory, name: str) -> dict[str, Any]:
    return next(item for item in configuration(lab)["scrape_configs"] if item["job_name"] == name)


def test_the_configuration_is_the_yaml_in_the_map_that_the_pod_mounts(lab: Inventory) -> None:
    items = made(lab, next(item for item in OURS if item.name == "prometheus"))
    held = found(items, "ConfigMap", "prometheus")["data"]["prometheus.yaml"]
    assert yaml.safe_load(held) == configuration(lab)
    pod = found(items, "StatefulSet", "prometheus")["spec"]["template"]["spec"]
    mounts = {item["name"]: item["mountPath"] for item in pod["containers"][0]["volumeMounts"]}
    assert f"--config.file={mounts['configuration']}/prometheus.yaml" in pod["containers"][0]["args"]
    assert configuration(lab)["rule_files"] == [f"{mounts['rules']}/*.yaml"]
    assert mounts["client"] == section_jobs.CLIENT
    texts = found(items, "ConfigMap", "prometheus-rules")["data"]
    assert texts == rules(lab)
    assert all(yaml.safe_load(one)["groups"] for one in texts.values())
    assert len(str(texts)) < 1_000_000, "an object of the API holds 1 MiB"


def test_every_machine_and_every_pod_of_an_add_on_is_a_target(lab: Inventory) -> None:
    configs = configuration(lab)["scrape_configs"]
    names = [item["job_name"] for item in configs]
    assert len({*names}) == len(names)
    counted = targets(lab)
    assert counted.keys() == {*names}
    for item in configs:
        if "static_configs" in item:
            hosts = [target["labels"]["host"] for target in item["static_configs"]]
            assert len(hosts) == len({*hosts}) == counted[item["job_name"]]
            for target in item["static_configs"]:
                host = target["labels"]["host"]
                assert target["targets"][0].split(":")[0] == lab.addresses[host]
                assert target["labels"]["arch"] == lab.hosts[host].arch.value
    assert counted["metallb"] == len(lab.nodes) + 1
    assert counted["kube-state-metrics"] == 2


def test_the_sixteen_machines_of_production_are_found() -> None:
    lab = LABS["production"]
    counted = targets(lab)
    assert (counted["node"], counted["kubelet"], counted["cadvisor"], counted["etcd"]) == (16, 15, 15, 3)
    arches = {target["labels"]["arch"] for target in job(lab, "node")["static_configs"]}
    assert arches == {"amd64", "arm64"}
    assert shared_kernel(lab) == frozenset()
    assert shared_kernel(LABS["rehearsal"]) == {*LABS["rehearsal"].hosts}


def test_a_lab_without_an_add_on_has_no_job_of_it() -> None:
    without = inventory(INVENTORY.replace("ingress: {address: 10.1.1.100}\n", "") + SECTION)
    assert "traefik" in targets(LABS["rehearsal"])
    assert "traefik" not in targets(without)


@pytest.mark.parametrize("addon", [item for item in addons() if item.metrics], ids=lambda item: item.name)
def test_pods_declare_the_ports_that_are_scraped(addon: AddOn) -> None:
    """The port of a pod is known to Prometheus because its container declares it."""
    parts = ("logs: {store: victorialogs}", "logs: {store: loki}", "grafana: {host: worker-1}")
    labs = (LABS["rehearsal"], *(inventory(f"{INVENTORY}observability: {{{part}}}\n") for part in parts))
    lab = next(one for one in labs if addon.is_part_of(one))
    whole = [item for one in selected(lab) if not one.manifest for item in made(lab, one)]
    for item in addon.metrics:
        for pods in item.pods:
            kind, _, name = pods.of.split("/")
            mine = [one for one in whole if (one["kind"].lower(), one["metadata"]["name"]) == (kind, name)]
            if addon.manifest or addon.name == "coredns":
                continue  # upstream's, and kubeadm's: the lab itself is asked
            ports = {
                port["containerPort"]
                for one in mine
                for container in one["spec"]["template"]["spec"]["containers"]
                for port in container["ports"]
            }
            assert ports >= {*item.ports}
            if "replicas" in mine[0]["spec"]:
                count = pods.count if isinstance(pods.count, int) else lab.number(pods.count)
                assert mine[0]["spec"]["replicas"] == count


def test_what_can_be_verified_is() -> None:
    lab = LABS["rehearsal"]
    api = job(lab, "apiserver")
    assert api["tls_config"] == {"ca_file": section_jobs.CLUSTER_CA, "server_name": "kubernetes"}
    node = job(lab, "node")
    assert node["tls_config"]["server_name"] == "node-exporter.rehearsal.internal"
    assert {"ca_file", "cert_file", "key_file"} <= node["tls_config"].keys()
    skipped = {
        item["job_name"]
        for item in configuration(lab)["scrape_configs"]
        if item.get("tls_config", {}).get("insecure_skip_verify")
    }
    assert skipped == {"kube-controller-manager", "kube-scheduler", "kubelet", "cadvisor", "probes"}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("apiserver", {"__name__": "apiserver_request_total", "code": "200"}),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "1.0"}),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "+Inf"}),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "30"}),
        ("etcd", {"__name__": "etcd_disk_wal_fsync_duration_seconds_bucket", "le": "0.01"}),
        ("cadvisor", {"__name__": "container_memory_working_set_bytes", "id": "/", "pod": ""}),
        ("cadvisor", {"__name__": "container_memory_working_set_bytes", "id": "/kubepods/a", "pod": "a"}),
        ("kube-proxy", {"__name__": "kubeproxy_sync_proxy_rules_duration_seconds_bucket", "le": "1.0"}),
        ("node", {"__name__": "node_cpu_seconds_total"}),
    ],
)
def test_what_is_read_is_kept_as_it_is(name: str, kept: dict[str, str]) -> None:
    wanted = {label: value for label, value in kept.items() if value}
    assert relabelled(job(LABS["rehearsal"], name), kept) == wanted


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        ("apiserver", {"__name__": "apiserver_request_duration_seconds_bucket", "le": "1.0"}),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "0.6"}),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "45.0"}),
        ("kube-scheduler", {"__name__": "scheduler_plugin_execution_duration_seconds_bucket", "le": "1.0"}),
        ("kubelet", {"__name__": "storage_operation_duration_seconds_bucket", "le": "1.0"}),
        ("cadvisor", {"__name__": "container_tasks_state", "pod": "a", "id": "/a"}),
        ("cadvisor", {"__name__": "container_network_tcp6_usage_total", "pod": "a", "id": "/a"}),
        ("cadvisor", {"__name__": "container_cpu_usage_seconds_total", "pod": "", "id": "/system.slice"}),
    ],
)
def test_what_nobody_reads_is_dropped(name: str, dropped: dict[str, str]) -> None:
    assert relabelled(job(LABS["rehearsal"], name), dropped) is None


def test_no_rule_reads_what_is_dropped() -> None:
    """Each metric of a rule is kept by every job that the rule's file names and that may have it."""
    read = {
        (one, name)
        for file in rule_files().values()
        for expr in [*(item.expr for item in file.records), *(a.expression(v) for a, v in file.rules())]
        for name in metrics(expr)
        for one in file.jobs
        if not name.startswith(("plumbline:", "ALERTS", "up"))
    }
    names = {item.name for item in jobs(LABS["rehearsal"])}
    for one, name in read:
        if one in names and (name.startswith("container_") or one not in ("cadvisor", "probes")):
            assert relabelled(job(LABS["rehearsal"], one), {"__name__": name, "pod": "a", "le": "1.0"}), name


def test_numbers_of_the_inventory_reach_the_file() -> None:
    told = "\nobservability: {prometheus: {retention_days: 3, retention_gib: 4, scrape_seconds: 7}}\n"
    lab = inventory(INVENTORY + told)
    found = configuration(lab)
    assert found["storage"]["tsdb"]["retention"] == {"time": "3d", "size": "4GB"}
    assert found["global"]["scrape_interval"] == "7s"
    assert found["global"]["scrape_timeout"] == "7s"
    assert job(lab, "cadvisor")["scrape_interval"] == "14s"
    assert found["global"]["external_labels"] == {"cluster": "test"}


def test_people_are_told_where_it_is() -> None:
    lab = inventory(INVENTORY + "\nobservability: {grafana: {port: 31000}}\n")
    assert addresses(lab)["grafana"] == "http://10.1.1.31:31000"
    assert list(addresses(LABS["rehearsal"])) == ["prometheus", "alertmanager"]
    assert addresses(inventory()) == {}


def test_memory_grows_with_machines_and_leaves_room_for_a_replay() -> None:
    small, large = (memory(LABS[name]) for name in ("rehearsal", "production"))
    assert small == {"request": "240Mi", "limit": "960Mi"}
    assert large == {"request": "390Mi", "limit": "1560Mi"}


def test_the_text_is_read_back_as_it_was_meant() -> None:
    lab = LABS["production"]
    assert yaml.safe_load(text(configuration(lab))) == configuration(lab)
    assert section_config.EVALUATION == "15s"


@pytest.mark.parametrize("port", ["kubelet", "apiserver"])
def test_the_ports_of_machines_are_those_that_listen(port: str) -> None:
    lab = LABS["rehearsal"]
    wanted = next(item.port for item in jobs(lab) if item.name == port)
    assert wanted in {item.port for item in listening(lab, "master-1")}
