"""Layer node: Flannel's link and its files on each node."""

from __future__ import annotations

import re

import pytest

from addons.flannel.running import differences
from addons.flannel.section import overlay
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.verbs import agrees, holds, nothing, present

SUBNET = "/run/flannel/subnet.env"


@pytest.mark.check("L1-25")
@pytest.mark.each("nodes")
def test_the_mtu_leaves_room_for_the_overlay(driver: Driver, facts: Facts, host: str) -> None:
    """The overlay is 50 bytes below the network card, and every pod's link has Flannel's MTU."""
    name = overlay(driver.inventory)
    address = str(driver.inventory.hosts[host].address)
    known = [link.name for link in facts.links]
    own = present(address, facts.link_of(address), expected="on an interface", seen=known, command="ip addr")
    link = present(name, facts.link(name), expected="an interface", seen=known, command="ip -d link")
    # the vxlan header over IPv4: 14 + 20 + 8 + 8 bytes
    agrees(f"MTU of {name}", link.mtu, own.mtu - 50, command=f"ip link show {name}")
    subnet = re.search(r"FLANNEL_MTU=(\d+)", facts.texts[SUBNET] or "")
    agrees("FLANNEL_MTU", subnet and int(subnet.group(1)), link.mtu, command="cat /run/flannel/subnet.env")
    pods = {
        pod.name: pod.mtu
        for pod in facts.links
        if pod.master == "cni0" and pod.mtu != link.mtu  # an empty bridge has 1500 itself
    }
    nothing("pod links with another MTU", pods, rule=str(link.mtu), command="ip link show master cni0")


@pytest.mark.check("L1-25")
def test_the_overlay_has_one_mtu_everywhere(driver: Driver) -> None:
    """The overlay has the same MTU on every node."""
    found = {
        facts.host: link.mtu if (link := facts.link(overlay(driver.inventory))) else "none"
        for facts in driver.all_facts(driver.inventory.nodes)
    }
    holds(
        f"MTU of {overlay(driver.inventory)}", len(set(found.values())) == 1, expected="one value", seen=found
    )


@pytest.mark.check("P1-22")
@pytest.mark.each("nodes")
def test_flannel_runs_as_declared(driver: Driver, facts: Facts, host: str) -> None:
    """What Flannel made and wrote when it started is of the declared network, port and address."""
    command = f"ip -d -j link show {overlay(driver.inventory)}"
    told, text = driver.read(host, command), facts.texts[SUBNET] or ""
    found = differences(driver.inventory, host, told, text)
    nothing("Flannel as it runs", found, rule="as declared", command=f"{command}; cat {SUBNET}", host=host)
