"""Rules between fields: what a field alone cannot know.

A rule is a function from the inventory to the problems it sees; it names every place whose value it read, so
that a refused value is never judged twice. The order is the order of the messages for one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.inventory.models import Inventory
from lab.inventory.problems import Problem
from lab.inventory.rules import capacity, cluster, hosts, ingress, networks, pools, providers, versions

Rule = Callable[[Inventory], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *versions.RULES,
    *networks.RULES,
    *hosts.RULES,
    *providers.RULES,
    *cluster.RULES,
    *pools.RULES,
    *ingress.RULES,
    *capacity.RULES,
)


def check(inventory: Inventory) -> list[Problem]:
    """All problems and warnings of an inventory whose fields are right one by one."""
    return [problem for rule in RULES for problem in rule(inventory)]
