"""What only a Raspberry Pi can have wrong, judged by its facts: names of the Pis with what was seen."""

from __future__ import annotations

from collections.abc import Iterable

from lab.checks.facts import Facts
from lab.checks.outcomes import NotPartOfLab
from lab.inventory.hardware import raspberry_pis
from lab.inventory.models import Inventory

ENABLED, DISABLED = "cgroup_enable=memory", "cgroup_disable=memory"
PAGE = 4096
"""With larger pages many images end at their start (raspberrypi/bookworm-feedback#107)."""
WIRELESS = "wl"
"""Names of wireless interfaces begin so (systemd.net-naming-scheme(7))."""


def declared(inventory: Inventory) -> list[str]:
    """The lab's Raspberry Pis. Raises `NotPartOfLab` when it has none; rehearsed ones are virtual."""
    found = list(raspberry_pis(inventory))
    if not found:
        raise NotPartOfLab("hosts.*.hardware", "no machine of this lab is a Raspberry Pi")
    return found


def without_memory_controller(found: Iterable[Facts]) -> dict[str, str]:
    """Running command lines that leave the memory controller off: the last word about it counts."""
    lines = {facts.host: facts.system.command_line for facts in found}
    words = {
        name: [word for word in line.split() if word in (ENABLED, DISABLED)] for name, line in lines.items()
    }
    return {name: lines[name] for name, said in words.items() if not said or said[-1] == DISABLED}


def other_pages(found: Iterable[Facts]) -> dict[str, int]:
    """Sizes of pages that are not 4 KiB."""
    sizes = {facts.host: facts.system.page_size for facts in found}
    return {name: size for name, size in sizes.items() if size != PAGE}


def without_vxlan(found: Iterable[Facts]) -> dict[str, str]:
    """Pis whose kernel has no vxlan module loaded."""
    return {facts.host: "not loaded" for facts in found if not facts.modules["vxlan"]}


def on_air(found: Iterable[Facts]) -> dict[str, list[str]]:
    """Default routes that leave by a wireless interface."""
    routes = {
        facts.host: [name for name in facts.default_link if name.startswith(WIRELESS)] for facts in found
    }
    return {name: links for name, links in routes.items() if links}
