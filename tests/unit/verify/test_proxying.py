"""By which rules a node leads to services."""

from __future__ import annotations

import pytest

from lab.artifacts.rootfs import load_recipe
from lab.checks.driver import Driver
from lab.checks.proxying import RULES, service_rules
from lab.inventory.models import Inventory
from lab.selftest.catalogue import catalogue
from lab.selftest.defect import Breakage
from tests.fakes import FakeSsh
from tests.world import INVENTORY, inventory

IPTABLES = "ip daddr 10.96.0.1 tcp dport 443 counter packets 9 bytes 540 jump KUBE-SVC-NPX46M4PTMTKRN6Y"
NFTABLES = "elements = { 10.96.0.1 . tcp . 443 comment default/kubernetes:https : goto service-2QRHZV4L }"
OTHER = "ip daddr 10.96.0.10 udp dport 53 jump KUBE-SVC-TCOU7JCQXEZGVUNU"


@pytest.mark.parametrize(
    ("iptables", "nftables", "modes"),
    [
        (IPTABLES, "", ["iptables"]),
        ("", NFTABLES, ["nftables"]),
        (IPTABLES, NFTABLES, ["iptables", "nftables"]),
        (OTHER, "", []),
        ("", "", []),
    ],
)
def test_the_modes_whose_rules_lead_to_the_apis_service_are_told(
    driver: Driver, ssh: FakeSsh, iptables: str, nftables: str, modes: list[str]
) -> None:
    ssh.on("worker-1", RULES["iptables"], iptables)
    ssh.on("worker-1", RULES["nftables"], nftables)
    assert service_rules(driver, "worker-1") == modes


def test_kube_proxys_image_has_the_programs_of_every_mode() -> None:
    """It starts without them, and then leads to no service: `nft` was not there once."""
    assert {"conntrack", "iptables", "nftables"} <= set(load_recipe().layer)


@pytest.mark.parametrize(
    ("lab", "rules"),
    [
        (inventory(), "table ip kube-proxy"),
        (inventory(INVENTORY + "kubernetes: {proxy_mode: nftables}\n"), "iptables -t nat"),
    ],
    ids=["iptables", "nftables"],
)
def test_the_defect_brings_rules_of_the_mode_that_the_lab_has_not(lab: Inventory, rules: str) -> None:
    [defect] = [item for item in catalogue(lab) if item.name == "proxy-rules-of-another-mode"]
    assert isinstance(defect, Breakage)
    assert rules in defect.damage
    assert str(lab.kubernetes.service_subnet[1]) in defect.damage
