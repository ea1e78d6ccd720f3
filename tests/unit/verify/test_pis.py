"""What Raspberry Pis can have wrong, on recorded facts of good and bad ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lab.checks.facts import Facts
from lab.checks.outcomes import NotPartOfLab
from lab.checks.raspberry_pi import on_air, other_pages, pis, without_memory_controller, without_vxlan
from lab.inventory.loading import load

FIRMWARE = "coherent_pool=1M 8250.nr_uarts=1 cgroup_disable=memory numa_policy=interleave"
"""What the firmware of a Pi 5 prepends (raspberrypi/linux#6980)."""
UBUNTU = "console=serial0,115200 root=LABEL=writable rootfstype=ext4 rootwait fixrtc cgroup_enable=memory"
GOOD: dict[str, Any] = {
    "system": {"command_line": f"{FIRMWARE} {UBUNTU}", "page_size": 4096},
    "modules": {"br_netfilter": True, "vxlan": True},
    "default_link": ["eth0"],
}
Judge = Callable[[Iterable[Facts]], dict[str, Any]]


def test_the_pis_of_a_lab_are_found_and_a_lab_without_any_says_so() -> None:
    assert pis(load("production")) == ["pi-1", "pi-2"]
    with pytest.raises(NotPartOfLab, match="no machine of this lab is a Raspberry Pi"):
        pis(load("rehearsal"))


@pytest.mark.parametrize("judge", [without_memory_controller, other_pages, without_vxlan, on_air])
def test_a_good_pi_has_nothing_wrong(judge: Judge) -> None:
    assert judge([Facts("pi-1", GOOD)]) == {}


@pytest.mark.parametrize(
    ("judge", "changes"),
    [
        (without_memory_controller, {"system": {"command_line": f"{UBUNTU} cgroup_disable=memory"}}),
        (without_memory_controller, {"system": {"command_line": "root=LABEL=writable"}}),
        (other_pages, {"system": {"page_size": 16384}}),
        (without_vxlan, {"modules": {"br_netfilter": True, "vxlan": False}}),
        (on_air, {"default_link": ["wlan0"]}),
        (on_air, {"default_link": ["eth0", "wlp1s0"]}),
    ],
    ids=["disabled later", "never enabled", "16 KiB", "no vxlan", "Wi-Fi", "Wi-Fi as well"],
)
def test_a_bad_pi_is_named(judge: Judge, changes: dict[str, Any]) -> None:
    assert list(judge([Facts("pi-1", GOOD), Facts("pi-2", GOOD | changes)])) == ["pi-2"]
