"""Layer cluster: nothing of the platform's is in the cluster that the inventory does not name."""

from __future__ import annotations

import pytest

from lab.addons import selected
from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import nothing
from lab.cluster.discovery import living
from lab.cluster.owned import left_over, named
from lab.errors import DeadlineError, FailedError
from lab.inventory.models import Inventory
from lab.render.addons import addon_manifests, objects


@pytest.mark.check("P2-10")
def test_nothing_of_the_platform_is_left_that_the_inventory_does_not_name(
    driver: Driver, inventory: Inventory
) -> None:
    """Every object that we have applied, of any kind, is one of an add-on of the inventory."""
    names = addon_manifests(inventory)
    manifests = provide_files("auto", wanted(inventory), names, say=lambda _: None)
    rendered = {addon: objects(inventory, addon, manifests) for addon in selected(inventory)}
    try:
        left = left_over(living(driver.lab.api), named(rendered, inventory))
    except (FailedError, DeadlineError) as error:
        raise CouldNotTell(error.message, next_step=error.next_step or "invoke status") from error
    nothing(
        "objects of ours that the inventory does not name",
        {str(item.key): f"of add-on {addon}" for item, addon in left.items()},
        rule="none",
        command="invoke plan; kubectl get all,configmaps,crds -A -l plumbline.local/addon",
    )
