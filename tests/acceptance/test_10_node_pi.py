"""Layer node: what only a Raspberry Pi can have wrong."""

from __future__ import annotations

import pytest

from lab.checks.driver import Driver
from lab.checks.raspberry_pi import (
    ENABLED,
    PAGE,
    declared,
    on_air,
    other_pages,
    without_memory_controller,
    without_vxlan,
)
from lab.checks.verbs import nothing


@pytest.mark.check("L1-03")
def test_the_boot_options_switch_the_memory_controller_on(driver: Driver) -> None:
    """Each Pi's running command line enables the memory controller after the firmware's own words."""
    wrong = without_memory_controller(driver.all_facts(declared(driver.inventory)))
    nothing("command lines", wrong, rule=f"{ENABLED} comes last", command="cat /proc/cmdline")


@pytest.mark.check("L1-04")
def test_pages_have_four_kibibytes(driver: Driver) -> None:
    """Each Pi runs a kernel with pages of 4 KiB; with 16 KiB many images end at their start."""
    wrong = other_pages(driver.all_facts(declared(driver.inventory)))
    nothing("page sizes", wrong, rule=str(PAGE), command="getconf PAGESIZE")


@pytest.mark.check("L1-05")
def test_the_overlay_has_its_module(driver: Driver) -> None:
    """Each Pi's kernel has the vxlan module."""
    wrong = without_vxlan(driver.all_facts(declared(driver.inventory)))
    nothing("vxlan", wrong, rule="loaded", command="lsmod; apt-get install linux-modules-extra-raspi")


@pytest.mark.check("L1-06")
def test_a_pi_that_announces_is_on_wire(driver: Driver) -> None:
    """No Pi's default route leaves by Wi-Fi: many access points do not pass on MetalLB's ARP answers."""
    wrong = on_air(driver.all_facts(declared(driver.inventory)))
    nothing("wireless default routes", wrong, rule="wired", command="ip route show default")
