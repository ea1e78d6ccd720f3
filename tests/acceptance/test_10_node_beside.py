"""Layer node: what is on a machine beside what was declared, and what it would do."""

from __future__ import annotations

import pytest

from lab.checks import access, folders, journal, modes, next_boot, undeclared
from lab.checks.driver import Driver
from lab.checks.survey import Survey
from lab.inventory.models import Inventory


@pytest.mark.check("P1-11")
@pytest.mark.each("all")
def test_nobody_has_rights_beyond_what_is_declared(driver: Driver, survey: Survey, host: str) -> None:
    """Keys, settings and data have the mode and owner that their writer gives them, or fewer rights."""
    modes.are_declared(driver.bundles[host], survey)


@pytest.mark.check("P1-12")
@pytest.mark.each("all")
def test_no_program_takes_a_file_that_nobody_declared(driver: Driver, survey: Survey, host: str) -> None:
    """Folders that a program reads whole hold what roles, add-ons and packages put there, and no more."""
    folders.hold_what_is_declared(driver.bundles[host], driver.traits[host], survey)


@pytest.mark.check("P1-13")
@pytest.mark.each("all")
def test_the_next_boot_brings_the_same(
    inventory: Inventory, driver: Driver, survey: Survey, host: str
) -> None:
    """What the files of boot say together, in the order in which they count, is what is declared."""
    next_boot.brings_the_same(inventory, driver.bundles[host], survey)


@pytest.mark.check("P1-14")
@pytest.mark.each("all")
def test_nobody_gets_in_whom_the_inventory_does_not_name(
    inventory: Inventory, driver: Driver, survey: Survey, host: str
) -> None:
    """sshd's effective settings, keys, accounts, rules of sudo; and no secret lies where nobody needs it."""
    key = driver.lab.keys.own().public
    access.is_closed(inventory, driver.bundles[host], driver.traits[host], survey, key)


@pytest.mark.check("P1-15")
@pytest.mark.each("all")
def test_nothing_is_there_that_nobody_declared(
    inventory: Inventory, driver: Driver, survey: Survey, host: str
) -> None:
    """Sockets, addresses, links, routes, mounts and units are those of roles, add-ons and packages."""
    undeclared.is_nowhere(inventory, driver.bundles[host], driver.traits[host], survey)


@pytest.mark.check("P1-16")
@pytest.mark.each("all")
def test_the_journal_stays_and_is_bounded(driver: Driver, survey: Survey, host: str) -> None:
    """The journal is on the disk within its bound, by all files together, and times are of one zone."""
    journal.stays(driver.bundles[host], survey)
