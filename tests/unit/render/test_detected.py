"""What kubeadm would find out by itself is said in its documents: nothing depends on where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.machines import Traits
from lab.render import kubeadm
from lab.render.bundle import bundle, pins
from lab.render.detected import CRI_SOCKET, DETECTED, POD_RESOLVER, Detected, merged, said
from lab.render.kubeadm import JoinSecrets
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.world import INVENTORY, inventory

SECRETS = JoinSecrets("abcdef.0123456789abcdef", "sha256:" + "ab" * 32, "0123456789abcdef" * 4)
PAGE = Path(__file__).parents[3] / "docs" / "render.md"


def documents(name: str) -> dict[str, Any]:
    """All documents of a host by kind."""
    lab = inventory()
    texts = [
        kubeadm.join(lab, CONTAINERS, pins(lab), name, SECRETS),
        kubeadm.reset(lab, CONTAINERS),
        *([kubeadm.init(lab, CONTAINERS, pins(lab), name)] if name in lab.masters else []),
    ]
    return {document["kind"]: document for text in texts for document in yaml.safe_load_all(text)}


def at(document: Any, field: str) -> Any:
    for part in field.split("."):
        document = document.get(part) if document else None
    return document


@pytest.mark.parametrize("item", DETECTED, ids=lambda item: item.field)
@pytest.mark.parametrize("name", ["master-1", "master-3", "worker-2"])
def test_what_would_be_found_out_is_said(item: Detected, name: str) -> None:
    found = documents(name)
    wanted = item.value(inventory(), name)
    asked = [kind for kind in item.kinds if kind in found]
    assert asked or name not in inventory().masters
    for kind in asked:
        seen = at(found[kind], item.field)
        if isinstance(wanted, list):
            assert seen[: len(wanted)] == wanted
        else:
            assert seen == wanted


@pytest.mark.parametrize("item", DETECTED, ids=lambda item: item.field)
def test_each_line_is_told_to_people(item: Detected) -> None:
    assert f"`{item.field}`" in PAGE.read_text()


def test_what_all_inherit_is_the_same_whoever_founds_the_cluster() -> None:
    lab = inventory()
    for item in DETECTED:
        if item.all_inherit:
            assert item.value(lab, "master-1") == item.value(lab, "master-2") is not None, item.field


@pytest.mark.parametrize("traits", [CONTAINERS, FULL_MACHINES, Traits(writes_seed=True)])
def test_one_resolver_is_there_on_every_operating_system(traits: Traits) -> None:
    """A founder with systemd-resolved must not decide for a worker without it."""
    text = INVENTORY.replace("provider: lxc", "provider: vagrant")
    text = text.replace("10.1.1.11}", "10.1.1.11, os: ubuntu-22.04}").replace(
        "10.1.1.32}", "10.1.1.32, os: ubuntu-24.04}"
    )
    lab = inventory(text)
    assert len({machine.os for machine in lab.hosts.values()}) == 3
    init = yaml.safe_load_all(kubeadm.init(lab, traits, pins(lab), "master-1"))
    [settings] = [document for document in init if document["kind"] == "KubeletConfiguration"]
    for name in lab.nodes:
        wanted = bundle(lab, traits, pins(lab), name)
        assert wanted.kubelet["resolvConf"] == settings["resolvConf"] == POD_RESOLVER
        [file] = [file for file in wanted.files if file.path == POD_RESOLVER]
        assert file.text.startswith("nameserver 10.1.1.1\n")


def test_the_kubelets_dns_is_the_address_that_kubeadm_gives_coredns() -> None:
    lab = inventory(INVENTORY + "kubernetes: {service_subnet: 172.30.0.0/16, dns_domain: k.example}\n")
    settings = said("KubeletConfiguration", lab)
    assert (settings["clusterDNS"], settings["clusterDomain"]) == (["172.30.0.10"], "k.example")


def test_the_runtimes_socket_is_that_of_the_programs_beside_the_kubelet() -> None:
    lab = inventory()
    [file] = [
        file
        for file in bundle(lab, CONTAINERS, pins(lab), "worker-1").files
        if file.path == "/etc/crictl.yaml"
    ]
    assert yaml.safe_load(file.text)["runtime-endpoint"] == CRI_SOCKET


def test_parts_of_a_document_are_merged_and_none_is_changed() -> None:
    first, second = {"a": {"x": 1, "l": [1]}, "b": 1}, {"a": {"y": 2, "l": [2]}, "c": 3}
    assert merged(first, second) == {"a": {"x": 1, "l": [1, 2], "y": 2}, "b": 1, "c": 3}
    assert first == {"a": {"x": 1, "l": [1]}, "b": 1}
