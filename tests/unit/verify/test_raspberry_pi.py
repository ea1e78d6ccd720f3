"""What Raspberry Pis can have wrong, on recorded facts of good and bad ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lab.checks.facts import Facts
from lab.checks.outcomes import NotPartOfLab
from lab.checks.raspberry_pi import declared, on_air, other_pages, without_memory_controller, without_vxlan
from lab.inventory.loading import load
from tests.host_facts import PI, UBUNTU, recorded

Judge = Callable[[Iterable[Facts]], dict[str, Any]]


def test_the_pis_of_a_lab_are_found_and_a_lab_without_any_says_so() -> None:
    assert declared(load("production")) == ["pi-1", "pi-2"]
    with pytest.raises(NotPartOfLab, match="no machine of this lab is a Raspberry Pi"):
        declared(load("rehearsal"))


@pytest.mark.parametrize("judge", [without_memory_controller, other_pages, without_vxlan, on_air])
def test_a_good_pi_has_nothing_wrong(judge: Judge) -> None:
    assert judge([Facts("pi-1", PI)]) == {}


@pytest.mark.parametrize(
    ("judge", "changes"),
    [
        (without_memory_controller, {"system__command_line": f"{UBUNTU} cgroup_disable=memory"}),
        (without_memory_controller, {"system__command_line": "root=LABEL=writable"}),
        (other_pages, {"system__page_size": 16384}),
        (without_vxlan, {"modules": {"br_netfilter": True, "vxlan": False}}),
        (on_air, {"default_link": ["wlan0"]}),
        (on_air, {"default_link": ["eth0", "wlp1s0"]}),
    ],
    ids=["disabled later", "never enabled", "16 KiB", "no vxlan", "Wi-Fi", "Wi-Fi as well"],
)
def test_a_bad_pi_is_named(judge: Judge, changes: dict[str, Any]) -> None:
    assert list(judge([Facts("pi-1", PI), Facts("pi-2", recorded(**changes))])) == ["pi-2"]
