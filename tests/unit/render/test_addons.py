"""Add-ons: upstream's objects with ours merged in, in an order that can be applied."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.addons import AddOn, addons
from lab.errors import FailedError, InputError
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.render.addons import merge, objects
from tests.world import INVENTORY, MANIFESTS, inventory

STORES = ("victorialogs", "loki")


def addon(name: str) -> AddOn:
    return next(item for item in addons() if item.name == name)


GRAFANA = "observability: {grafana: {host: worker-1}}\n"


def lab_with(item: AddOn) -> Inventory:
    """The smallest lab that has an add-on."""
    parts = (
        "",
        "observability: {}\n",
        *(f"observability: {{logs: {{store: {one}}}}}\n" for one in STORES),
        GRAFANA,
    )
    return next(lab for part in parts if item.is_part_of(lab := inventory(INVENTORY + part)))


def rendered(name: str, lab: Inventory | None = None) -> list[Object]:
    item = addon(name)
    return objects(lab or lab_with(item), item, MANIFESTS)


def one(found: list[Object], kind: str, name: str) -> Object:
    [item] = [item for item in found if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return item


@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": {"x": 1}}, {"a": "text"}, {"a": "text"}),
        ([1, 2], [3], [3]),
        (["--a"], ["--b"], ["--b"]),
        ([{"name": "x", "v": 1}], [{"name": "x", "w": 2}], [{"name": "x", "v": 1, "w": 2}]),
        ([{"name": "x"}, {"name": "y"}], [{"name": "z"}], [{"name": "x"}, {"name": "y"}, {"name": "z"}]),
        ([{"name": "x"}, {"name": "y"}], [{"name": "x", "$patch": "delete"}], [{"name": "y"}]),
        ([{"port": 1}], [{"port": 2}], [{"port": 2}]),
        ([{"name": "x"}], [{"port": 2}], [{"port": 2}]),
        (
            {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]},
            {"containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}]},
            {
                "containers": [
                    {"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
                ]
            },
        ),
        (1, 2, 2),
        ({"a": False}, {"a": True}, {"a": True}),
    ],
)
def test_a_patch_is_merged_by_key_and_by_name(base: Any, patch: Any, result: Any) -> None:
    before = json.dumps([base, patch])
    assert merge(base, patch) == result
    assert json.dumps([base, patch]) == before, "what is merged is not changed"


def test_merging_twice_is_merging_once() -> None:
    base = {"containers": [{"name": "c", "image": "i"}, {"name": "d"}], "x": [1]}
    patch = {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}], "x": [2]}
    once = merge(base, patch)
    assert merge(once, patch) == once


def test_deleting_what_upstream_no_longer_has_is_an_error_that_names_it() -> None:
    with pytest.raises(FailedError, match="install-cni-plugin is not in the manifest"):
        merge([{"name": "x"}], [{"name": "install-cni-plugin", "$patch": "delete"}])


def test_a_patch_of_an_object_that_upstream_no_longer_has_is_an_error_that_names_it(tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-flannel}\n")
    flannel = addon("flannel")
    with pytest.raises(FailedError, match="ConfigMap/kube-flannel/kube-flannel-cfg is not in the manifest"):
        objects(inventory(), flannel, {flannel.manifest: manifest})


@pytest.mark.parametrize("name", [item.name for item in addons()])
def test_namespaces_and_definitions_come_first_and_webhooks_last(name: str) -> None:
    kinds = [item["kind"] for item in rendered(name)]
    first = [kind for kind in kinds if kind in ("Namespace", "CustomResourceDefinition")]
    last = [kind for kind in kinds if kind.endswith("WebhookConfiguration")]
    assert kinds[: len(first)] == first
    assert kinds[len(kinds) - len(last) :] == last
    workloads = [kind for kind in kinds if kind in ("Deployment", "DaemonSet")]
    assert kinds[len(kinds) - len(last) - len(workloads) : len(kinds) - len(last)] == workloads


def test_objects_of_ours_stand_between_their_definition_and_the_webhook_that_would_judge_them() -> None:
    kinds = [item["kind"] for item in rendered("metallb")]
    pool = kinds.index("IPAddressPool")
    assert kinds.index("CustomResourceDefinition") < pool < kinds.index("ValidatingWebhookConfiguration")
    assert pool < kinds.index("Deployment"), "a controller finds its pools when it starts"


@pytest.mark.parametrize("name", [item.name for item in addons()])
def test_no_object_holds_a_null_and_none_is_there_twice(name: str) -> None:
    """Generators write `creationTimestamp: null`, and the API refuses it in an applied object."""
    found = rendered(name)
    assert nulls(found) == []
    names = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in found]
    assert len(names) == len(set(names))
    assert rendered(name) == found


def nulls(value: Any, path: str = "") -> list[str]:
    """Paths of nulls."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in nulls(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in nulls(item, f"{path}[{index}]")]
    return [path] if value is None else []


def test_the_fixture_holds_nulls() -> None:
    texts = [path.read_text() for path in MANIFESTS.values()]
    assert any(nulls(list(yaml.safe_load_all(text))) for text in texts)


def test_the_pod_network_is_the_inventorys() -> None:
    """L0-13."""
    data = one(rendered("flannel"), "ConfigMap", "kube-flannel-cfg")["data"]
    network = json.loads(data["net-conf.json"])
    assert network["Network"] == "10.244.0.0/16"
    assert network["Backend"] == {"Type": "vxlan", "VNI": 1, "Port": 8472}
    assert network["SubnetLen"] == 24
    chain = json.loads(data["cni-conf.json"])
    assert [plugin["type"] for plugin in chain["plugins"]] == ["flannel", "portmap"]
    assert chain["plugins"][0]["delegate"]["isDefaultGateway"] is True


def test_flannel_keeps_upstreams_container_and_loses_the_plugin_installer() -> None:
    spec = one(rendered("flannel"), "DaemonSet", "kube-flannel-ds")["spec"]["template"]["spec"]
    assert [item["name"] for item in spec["initContainers"]] == ["install-cni"]
    [container] = spec["containers"]
    assert container["args"] == ["--ip-masq", "--kube-subnet-mgr"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 8081}
    assert container["readinessProbe"]["periodSeconds"] == 2


def digest(lab: Inventory) -> str:
    template = one(rendered("flannel", lab), "DaemonSet", "kube-flannel-ds")["spec"]["template"]
    found: str = template["metadata"]["annotations"]["plumbline/config-digest"]
    return found


def test_pods_of_flannel_change_when_its_configuration_does() -> None:
    other = inventory(INVENTORY + "flannel: {vni: 7}\n")
    assert digest(inventory()) == digest(inventory())
    assert digest(inventory()) != digest(other)


def environment(addon: str, name: str, lab: Inventory | None = None) -> dict[str, str]:
    found = one(rendered(addon, lab), "DaemonSet", name)
    [container] = found["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


@pytest.mark.parametrize(("addon", "name"), [("flannel", "kube-flannel-ds"), ("metallb", "speaker")])
def test_what_runs_before_kube_proxy_reaches_the_api_by_the_balancer(addon: str, name: str) -> None:
    assert environment(addon, name) == {
        "KUBERNETES_SERVICE_HOST": "10.1.1.50",
        "KUBERNETES_SERVICE_PORT": "6443",
        "HTTP2_READ_IDLE_TIMEOUT_SECONDS": "30",
        "HTTP2_PING_TIMEOUT_SECONDS": "15",
    }


def test_a_fast_reaction_has_the_speakers_probe_each_other_more_often() -> None:
    fast = inventory(INVENTORY + "kubernetes: {reaction: fast}\n")
    interval = "PLUMBLINE_MEMBER_PROBE_MILLISECONDS"
    assert environment("metallb", "speaker", fast)[interval] == "500"
    assert interval not in environment("flannel", "kube-flannel-ds", fast)


def test_a_speaker_waits_until_its_node_can_forward() -> None:
    lab = inventory(INVENTORY + "flannel: {vni: 7}\nkubernetes: {service_subnet: 10.98.0.0/16}\n")
    spec = one(rendered("metallb", lab), "DaemonSet", "speaker")["spec"]["template"]["spec"]
    [waits] = spec["initContainers"]
    assert waits["image"].startswith("plumbline.local/probe:")
    assert waits["command"] == ["/probe", "await", "--link=flannel.7", "10.98.0.1:443"]


def test_every_pool_is_announced() -> None:
    """L0-14, and C02: `no` and `true` are what they are."""
    lab = inventory(
        INVENTORY.replace(
            "[{name: default, addresses: [10.1.1.100-10.1.1.150]}]",
            "[{name: default, addresses: [10.1.1.100-10.1.1.150]}, "
            '{name: "no", addresses: [10.1.1.200/29, 10.1.1.220-10.1.1.220], auto_assign: false}]',
        )
    )
    found = rendered("metallb", lab)
    assert one(found, "IPAddressPool", "default")["spec"] == {
        "addresses": ["10.1.1.100-10.1.1.150"],
        "autoAssign": True,
    }
    second = one(found, "IPAddressPool", "no")["spec"]
    assert second["autoAssign"] is False
    assert len(second["addresses"]) == 2
    assert one(found, "L2Advertisement", "lan")["spec"]["ipAddressPools"] == ["default", "no"]


def test_coredns_is_changed_and_not_made_anew() -> None:
    found = rendered("coredns")
    assert [item["kind"] for item in found] == ["ConfigMap", "Deployment"]
    deployment = one(found, "Deployment", "coredns")
    assert (deployment["kind"], deployment["metadata"]["namespace"]) == ("Deployment", "kube-system")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container.keys() == {"name", "livenessProbe", "readinessProbe"}, (
        "image and arguments are kubeadm's"
    )
    rules = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    [rule] = rules["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"


def test_a_replica_of_coredns_answers_until_it_is_asked_no_more_and_not_longer_than_it_may() -> None:
    lab = inventory(f"{INVENTORY}kubernetes: {{dns_domain: lab.internal}}\n")
    corefile = one(rendered("coredns", lab), "ConfigMap", "coredns")["data"]["Corefile"]
    [seconds] = re.findall(r"lameduck (\d+)s", corefile)
    assert 5 < int(seconds) < 30, "kubeadm's, and terminationGracePeriodSeconds' default"
    assert "kubernetes lab.internal in-addr.arpa" in corefile


def test_what_an_add_on_waits_for_is_in_its_manifest() -> None:
    for item in addons():
        there = {
            f"{one['kind'].lower()}/{one['metadata'].get('namespace')}/{one['metadata']['name']}"
            for one in rendered(item.name)
        }
        assert set(item.ready) <= there


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [\n", "is not YAML: while parsing a flow node"),
        ("just text\n", "object 1: must be a mapping with apiVersion, kind and metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\n", "object 1: must be a mapping"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: [x]\n", "object 1: must be a mapping"),
        ("kind: ConfigMap\nmetadata: {name: x}\n", "object 1: must be a mapping"),
    ],
)
def test_what_is_no_object_is_told_with_its_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "objects.yaml.j2").touch()
    addon = AddOn(folder=tmp_path, title="Toy", namespaces=("toy",), ready=("job/toy/setup",))
    monkeypatch.setattr("lab.render.addons.section_of", lambda _: None)
    monkeypatch.setattr("lab.render.addons.render", lambda *_, **__: text)
    with pytest.raises(InputError, match=re.escape(f"addons/{tmp_path.name}/objects.yaml.j2: ")) as error:
        objects(inventory(), addon, MANIFESTS)
    assert said in error.value.message
