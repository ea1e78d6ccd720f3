"""C57: what a machine searches is the inventory's with every provider, and nothing where it says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.providers.proxmox.config import TRAITS as ON_PROXMOX
from lab.providers.proxmox.config import fields
from lab.providers.vagrant.config import access
from lab.render.bundle import bundle, pins
from lab.render.cloudinit import seed
from lab.render.detected import POD_RESOLVER
from lab.ssh import Keys
from tests.doubles.pve.cloudinit import network_config
from tests.doubles.pve.state import Node
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.world import INVENTORY, inventory

HYPERVISOR = Node("pve-1", search="lab.example")
PROXMOX = """
proxmox: {host: pve-1, token: "ops@pam!build"}
hypervisors: {pve-1: {cpus: 32, memory_gib: 128, disk_gib: 1862}}
"""
RESOLVED = "/etc/systemd/resolved.conf.d/10-plumbline.conf"


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path))
    return Keys("test")


def lab_of(provider: str, domains: str) -> Inventory:
    text = INVENTORY.replace("provider: lxc", f"provider: {provider}")
    text = text.replace("gateway: 10.1.1.1", f"gateway: 10.1.1.1, search_domains: [{domains}]")
    if provider == "proxmox":
        text = text.replace("{role:", "{hypervisor: pve-1, role:") + PROXMOX
    return inventory(text)


def in_seed(lab: Inventory, traits: Traits, keys: Keys) -> Any:
    files = seed(lab, traits, bundle(lab, traits, pins(lab), "worker-1"), keys)
    return yaml.safe_load(files["network-config"])["ethernets"]


@pytest.mark.parametrize(
    ("domains", "wanted"), [("", []), ("a.example, b.example", ["a.example", "b.example"])]
)
@pytest.mark.parametrize("provider", ["lxc", "vagrant", "static"])
def test_c57_a_seed_says_what_is_searched(keys: Keys, provider: str, domains: str, wanted: list[str]) -> None:
    lab = lab_of(provider, domains)
    traits = (
        access(lab, "worker-1") if provider == "vagrant" else CONTAINERS if provider == "lxc" else Traits()
    )
    cards = in_seed(lab, traits, keys)
    lan = next(iter(cards.values()))
    assert lan["nameservers"]["search"] == wanted
    assert lan["accept-ra"] is False, "a router's advertisement may name domains, too"
    if "management" in cards:
        assert cards["management"]["dhcp4-overrides"]["use-domains"] is False


@pytest.mark.parametrize(
    ("domains", "wanted"), [("", ["."]), ("a.example, b.example", ["a.example", "b.example"])]
)
def test_c57_the_hypervisors_own_domain_is_not_taken_over(
    keys: Keys, domains: str, wanted: list[str]
) -> None:
    config = {key: str(value) for key, value in fields(lab_of("proxmox", domains), "worker-1", keys).items()}
    *_, told = yaml.safe_load(network_config(HYPERVISOR, config))["config"]
    assert told["search"] == wanted
    assert told["address"] == ["10.1.1.1"]
    del config["searchdomain"]
    *_, unasked = yaml.safe_load(network_config(HYPERVISOR, config))["config"]
    assert unasked["search"] == ["lab.example"], "the double fills in what Proxmox VE does"


@pytest.mark.parametrize("traits", [CONTAINERS, FULL_MACHINES, ON_PROXMOX], ids=["lxc", "machine", "proxmox"])
@pytest.mark.parametrize(
    ("domains", "line"), [("", ""), ("a.example, b.example", "search a.example b.example\n")]
)
def test_c57_a_resolver_file_is_the_inventorys(traits: Traits, domains: str, line: str) -> None:
    lab = lab_of("lxc", domains)
    for name in lab.hosts:
        files = {file.path: file.text for file in bundle(lab, traits, pins(lab), name).files}
        wanted = f"nameserver 10.1.1.1\n{line}options timeout:1 attempts:1\n"
        assert files["/etc/resolv.conf"] == wanted
        assert files.get(POD_RESOLVER) == (wanted if name in lab.nodes else None)


@pytest.mark.parametrize(("domains", "line"), [("", "Domains=\n"), ("a.example", "Domains=a.example\n")])
def test_c57_ubuntus_resolver_is_told_by_its_own_file(domains: str, line: str) -> None:
    text = INVENTORY.replace("provider: lxc", "provider: vagrant").replace(
        "10.1.1.32}", "10.1.1.32, os: ubuntu-24.04}"
    )
    lab = inventory(text.replace("gateway: 10.1.1.1", f"gateway: 10.1.1.1, search_domains: [{domains}]"))
    found = {file.path: file for file in bundle(lab, FULL_MACHINES, pins(lab), "worker-2").files}
    assert found[RESOLVED].text == f"[Resolve]\nDNS=10.1.1.1\n{line}"
    assert found[RESOLVED].on_change == ("restart systemd-resolved",)
    assert "/etc/resolv.conf" not in found, "it is a link of systemd-resolved's"
    assert RESOLVED not in {file.path for file in bundle(lab, FULL_MACHINES, pins(lab), "worker-1").files}
