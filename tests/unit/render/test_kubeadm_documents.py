"""kubeadm's documents, parsed back: API v1beta4, arguments as lists of text, no secret where none belongs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.machines import Traits
from lab.render import kubeadm
from lab.render.bundle import pins
from lab.render.kubeadm import JoinSecrets
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.world import INVENTORY, inventory

SECRETS = JoinSecrets("abcdef.0123456789abcdef", "sha256:" + "ab" * 32, "0123456789abcdef" * 4)


def by_kind(text: str) -> dict[str, dict[str, Any]]:
    documents = [document for document in yaml.safe_load_all(text) if document]
    kinds = [document["kind"] for document in documents]
    assert len(kinds) == len(set(kinds))
    return dict(zip(kinds, documents, strict=True))


def init(
    name: str = "master-1", traits: Traits = CONTAINERS, text: str = INVENTORY
) -> dict[str, dict[str, Any]]:
    return by_kind(kubeadm.init(inventory(text), traits, pins(inventory(text)), name))


def join(name: str, traits: Traits = CONTAINERS, text: str = INVENTORY) -> dict[str, Any]:
    [document] = by_kind(kubeadm.join(inventory(text), traits, pins(inventory(text)), name, SECRETS)).values()
    return document


def arguments(listed: list[dict[str, str]]) -> dict[str, str]:
    """v1beta4: a list of name and value, both text."""
    for item in listed:
        assert set(item) == {"name", "value"}
        assert all(isinstance(value, str) for value in item.values()), item
    names = [item["name"] for item in listed]
    assert len(names) == len(set(names))
    return {item["name"]: item["value"] for item in listed}


def test_an_init_is_four_documents_of_the_right_versions() -> None:
    assert {kind: document["apiVersion"] for kind, document in init().items()} == {
        "InitConfiguration": "kubeadm.k8s.io/v1beta4",
        "ClusterConfiguration": "kubeadm.k8s.io/v1beta4",
        "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
        "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
    }


def test_c16_the_endpoint_is_the_balancer_even_for_a_single_master() -> None:
    """C16."""
    one = INVENTORY.replace("  master-2: {role: control-plane, address: 10.1.1.12}\n", "").replace(
        "  master-3: {role: control-plane, address: 10.1.1.13}\n", ""
    )
    one += "kubernetes: {single_master: true}\n"
    for text in (INVENTORY, one):
        assert init(text=text)["ClusterConfiguration"]["controlPlaneEndpoint"] == "10.1.1.50:6443"
        assert (
            join("worker-1", text=text)["discovery"]["bootstrapToken"]["apiServerEndpoint"]
            == "10.1.1.50:6443"
        )


def test_c16_the_served_certificate_names_every_way_to_the_api() -> None:
    """C16: balancer and each master, by address and by name."""
    sans = init()["ClusterConfiguration"]["apiServer"]["certSANs"]
    lab = inventory()
    wanted = {str(lab.hosts[name].address) for name in ("haproxy", *lab.masters)}
    assert set(sans) == wanted | {"haproxy", *lab.masters, "127.0.0.1"}
    assert len(sans) == len(set(sans))
    assert all(isinstance(name, str) for name in sans)


def test_further_names_of_the_api_are_in_its_certificates() -> None:
    text = INVENTORY + "kubernetes: {api_names: [k8s.home.arpa, 203.0.113.7]}\n"
    plain = init()["ClusterConfiguration"]["apiServer"]["certSANs"]
    sans = init(text=text)["ClusterConfiguration"]["apiServer"]["certSANs"]
    assert sans == [*plain, "k8s.home.arpa", "203.0.113.7"]


def test_c16_addresses_come_from_the_inventory_and_never_from_the_first_interface() -> None:
    for name in inventory().masters:
        address = str(inventory().hosts[name].address)
        document = init(name)["InitConfiguration"]
        assert document["localAPIEndpoint"] == {"advertiseAddress": address, "bindPort": 6443}
        assert document["nodeRegistration"]["name"] == name
        assert arguments(document["nodeRegistration"]["kubeletExtraArgs"])["node-ip"] == address
        assert join(name)["controlPlane"]["localAPIEndpoint"]["advertiseAddress"] == address
    worker = join("worker-2")["nodeRegistration"]
    assert arguments(worker["kubeletExtraArgs"]) == {"node-ip": "10.1.1.32"}


def test_c02_labels_are_given_as_text_whatever_they_look_like() -> None:
    """C02: `no` and `0600` stay what the inventory says."""
    given = arguments(join("worker-1")["nodeRegistration"]["kubeletExtraArgs"])
    assert given["node-labels"] == "rack=no,slot=0600"
    assert "node-labels" not in arguments(join("worker-2")["nodeRegistration"]["kubeletExtraArgs"])


def test_networks_version_and_name_are_the_inventorys() -> None:
    cluster = init()["ClusterConfiguration"]
    assert cluster["networking"] == {
        "podSubnet": "10.244.0.0/16",
        "serviceSubnet": "10.96.0.0/12",
        "dnsDomain": "cluster.local",
    }
    assert cluster["kubernetesVersion"] == "v1.31.0"
    assert cluster["clusterName"] == "test"


def test_a_silent_node_is_given_its_time_explicitly() -> None:
    """L0-15: below 1.32 the default is too short."""
    given = arguments(init()["ClusterConfiguration"]["controllerManager"]["extraArgs"])
    assert given == {
        "node-cidr-mask-size": "24",
        "node-monitor-period": "5s",
        "node-monitor-grace-period": "50s",
    }


def test_etcd_checks_its_data_and_its_image_is_the_pinned_one() -> None:
    local = init()["ClusterConfiguration"]["etcd"]["local"]
    assert local["imageTag"] == pins(inventory()).tags["etcd"]
    assert arguments(local["extraArgs"])["experimental-initial-corrupt-check"] == "true"
    assert init()["ClusterConfiguration"]["dns"]["imageTag"] == pins(inventory()).tags["coredns"]


@pytest.mark.parametrize("name", list(inventory().masters))
def test_a_certificate_key_is_for_joining_masters_alone(name: str) -> None:
    assert join(name)["controlPlane"]["certificateKey"] == SECRETS.certificate_key


@pytest.mark.parametrize("name", list(inventory().workers))
def test_a_worker_gets_no_part_of_the_control_plane(name: str) -> None:
    document = join(name)
    assert "controlPlane" not in document
    assert SECRETS.certificate_key not in str(document)


def test_a_join_trusts_the_ca_by_its_hash_alone() -> None:
    discovery = join("worker-1")["discovery"]["bootstrapToken"]
    assert discovery["token"] == SECRETS.token
    assert discovery["caCertHashes"] == [SECRETS.ca_hash]
    assert "unsafeSkipCAVerification" not in discovery


@pytest.mark.parametrize("token", ["123456.1234567890123456", "1e1000.0000000000000000"])
def test_c02_a_token_that_looks_like_a_number_stays_text(token: str) -> None:
    """C02."""
    text = kubeadm.join(
        inventory(), CONTAINERS, pins(inventory()), "worker-1", JoinSecrets(token, "sha256:00")
    )
    assert yaml.safe_load(text)["discovery"]["bootstrapToken"]["token"] == token


def test_an_init_holds_no_secret() -> None:
    text = kubeadm.init(inventory(), CONTAINERS, pins(inventory()), "master-1")
    assert "token" not in text.lower()
    assert "certificateKey" not in text


def test_checks_are_ignored_only_where_they_cannot_hold() -> None:
    container = init()["InitConfiguration"]["nodeRegistration"]["ignorePreflightErrors"]
    machine = init(traits=FULL_MACHINES)["InitConfiguration"]["nodeRegistration"]["ignorePreflightErrors"]
    assert set(machine) == {"HTTPProxyCIDR"}
    assert set(container) == {
        *("HTTPProxyCIDR", "SystemVerification", "Swap"),
        "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
    }
    assert join("worker-1")["nodeRegistration"]["ignorePreflightErrors"] == container


def test_kubeadm_never_pulls_images() -> None:
    """Seen in emulation: its question for an image had no answer in time, so it asked a registry."""
    for document in (init()["InitConfiguration"], join("master-2"), join("worker-1")):
        registration = document["nodeRegistration"]
        assert registration["imagePullPolicy"] == "Never"
        assert registration["criSocket"] == "unix:///run/containerd/containerd.sock"


def test_a_full_host_evicts_no_pods_of_containers_and_all_as_usual_on_machines() -> None:
    container, machine = init()["KubeletConfiguration"], init(traits=FULL_MACHINES)["KubeletConfiguration"]
    assert set(container["evictionHard"].values()) == {"0%"}
    assert container["failSwapOn"] is False
    assert container["imageGCHighThresholdPercent"] == 100
    assert not {"evictionHard", "failSwapOn", "imageGCHighThresholdPercent"} & set(machine)
    for settings in (container, machine):
        assert settings["cgroupDriver"] == "systemd"
        assert settings["maxPods"] == 110
        assert settings["containerLogMaxSize"] == "10Mi"


def test_kube_proxy_leaves_the_hosts_connection_table_alone_in_containers() -> None:
    assert init()["KubeProxyConfiguration"]["conntrack"] == {"maxPerCore": 0, "min": 0}
    machine = init(traits=FULL_MACHINES)["KubeProxyConfiguration"]
    assert "conntrack" not in machine
    assert machine["mode"] == "iptables"


def test_kubeadm_is_as_patient_as_the_lab() -> None:
    text = INVENTORY.replace("provider: lxc", "provider: lxc\npatience: 2.5")
    assert text != INVENTORY
    wanted = {
        "controlPlaneComponentHealthCheck": "600s",
        "discovery": "750s",
        "etcdAPICall": "300s",
        "kubeletHealthCheck": "600s",
        "kubernetesAPICall": "150s",
        "tlsBootstrap": "750s",
        "upgradeManifests": "750s",
    }
    assert init(text=text)["InitConfiguration"]["timeouts"] == wanted
    assert join("worker-1", text=text)["timeouts"] == wanted
    upgrade = by_kind(kubeadm.upgrade(inventory(text), CONTAINERS))
    assert upgrade["UpgradeConfiguration"]["timeouts"] == wanted


def test_a_slow_labs_control_plane_has_time() -> None:
    """In emulation etcd answered after 2 s, /readyz said 500, and the balancer left the only API server."""
    made = init(text=INVENTORY.replace("provider: lxc", "provider: lxc\npatience: 2.5"))[
        "ClusterConfiguration"
    ]
    api, controllers = (
        {item["name"]: item["value"] for item in made[part]["extraArgs"]}
        for part in ("apiServer", "controllerManager")
    )
    assert (api["etcd-readycheck-timeout"], api["etcd-healthcheck-timeout"]) == ("5s", "5s")
    assert controllers["leader-elect-lease-duration"] == "38s"
    assert controllers["leader-elect-renew-deadline"] == "25s"
    assert "timeout" not in str(init()["ClusterConfiguration"]["apiServer"])
    assert "leader" not in str(init()["ClusterConfiguration"]["controllerManager"])


def test_kubeadms_own_times_are_left_alone_without_patience() -> None:
    assert "timeouts" not in init()["InitConfiguration"]
    assert "timeouts" not in join("worker-1")


def test_another_api_port_is_used_everywhere() -> None:
    text = INVENTORY + "kubernetes: {api_port: 8443}\n"
    found = init(text=text)
    assert found["ClusterConfiguration"]["controlPlaneEndpoint"] == "10.1.1.50:8443"
    assert found["InitConfiguration"]["localAPIEndpoint"]["bindPort"] == 8443
    assert join("master-2", text=text)["controlPlane"]["localAPIEndpoint"]["bindPort"] == 8443
