"""Layer node: whom a machine and its pods ask for names, and where they search short ones."""

from __future__ import annotations

import pytest

from lab.checks.facts import Facts
from lab.checks.resolver import of_machine, of_pods
from lab.inventory.models import Inventory


@pytest.mark.check("L1-29")
@pytest.mark.each("all")
def test_the_resolver_leads_somewhere(inventory: Inventory, facts: Facts) -> None:
    """The machine has a name server, none on its own loopback, and searches the inventory's domains alone."""
    of_machine(inventory, facts)


@pytest.mark.check("L1-29")
@pytest.mark.each("nodes")
def test_pods_are_given_the_inventorys_resolver(inventory: Inventory, facts: Facts) -> None:
    """The kubelet hands pods the inventory's name servers and domains, whatever its machine asks."""
    of_pods(inventory, facts)
