"""Rules between fields: what a field alone cannot know.

A rule is a function from the inventory to the problems it sees; it names every place whose value it read, so
that a refused value is never judged twice. The order is the order of the messages for one line.
"""

from __future__ import annotations

from lab.inventory.addon_sections import Rule, of_lab, sections
from lab.inventory.models import Inventory
from lab.inventory.problems import Problem
from lab.inventory.rules import (
    addons,
    capacity,
    cluster,
    hosts,
    named,
    networks,
    ports,
    providers,
    ranges,
    resolvers,
    versions,
)

_PLATFORM: tuple[Rule, ...] = (
    *versions.RULES,
    *addons.RULES,
    *networks.RULES,
    *resolvers.RULES,
    *hosts.RULES,
    *providers.RULES,
    *cluster.RULES,
    *ports.RULES,
    *ranges.RULES,
    *named.RULES,
    *capacity.RULES,
)


def rules() -> tuple[Rule, ...]:
    """All rules: the platform's and, after them, those of every add-on."""
    return (*_PLATFORM, *(rule for _, section in sections() for rule in section.rules))


def check(inventory: Inventory) -> list[Problem]:
    """All problems and warnings of an inventory whose fields are right one by one."""
    own = (rule for _, section in of_lab(inventory) for rule in section.rules)
    return [problem for rule in (*_PLATFORM, *own) for problem in rule(inventory)]
