"""Rows, the defects that prove each, rows without one; and how many there are of each kind."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.addons import selected
from lab.inventory import load
from lab.inventory.models import HostRole, Inventory
from lab.report.defences import Defence
from lab.selftest.catalogue import catalogue, families
from lab.selftest.defect import Breakage
from lab.selftest.defences import defences, gaps
from lab.verify.index import answers, rows
from tests.unit.selftest.test_any_inventory import ELSEWHERE

REHEARSAL = load("rehearsal")
INVENTORY, WITH_LOKI = (
    type(REHEARSAL).model_validate(
        {"observability": {"logs": {"store": store}}} | REHEARSAL.model_dump(exclude_defaults=True)
    )
    for store in ("victorialogs", "loki")
)
"""With every add-on that has rows, but for the other store of logs."""
DEFECTS = catalogue(INVENTORY)
LEAST = 200
OF_A_KIND = 4
OF_MACHINES = ("rights", "folders", "older", "next_boot", "access", "undeclared", "journal")
"""Families whose defects are on machines, of whatever role."""


def test_no_row_with_a_test_is_without_a_defect_or_a_reason() -> None:
    assert gaps(defences(INVENTORY, DEFECTS, {})) == []
    assert gaps(defences(WITH_LOKI, catalogue(WITH_LOKI), {})) == []


def test_a_row_has_its_tests_and_all_defects_that_it_must_name() -> None:
    found = {one.row: one for one in defences(INVENTORY, DEFECTS, {"pool-not-advertised": "missed"})}
    of_loki = {one.row for one in defences(WITH_LOKI, catalogue(WITH_LOKI), {})}
    assert {*found} | of_loki == {answer.row for answer in answers()}
    assert found["L1-20"].tests[0].startswith("The kernel holds exactly the rules")
    assert {"firewall-off", "firewall-policy"} <= set(found["L1-20"].defects)
    # one that several checks must name is told at each of them, with what became of it
    assert found["L3-04"].missed == found["P3-01"].missed == ("pool-not-advertised",)
    assert found["L3-13"].missed == ()


def test_rows_of_an_add_on_that_the_lab_has_not_are_left_out() -> None:
    assert "L3-21" in {one.row for one in defences(INVENTORY, DEFECTS, {})}
    bare = without_ingress(INVENTORY)
    assert "L3-21" not in {one.row for one in defences(bare, catalogue(bare), {})}
    assert gaps(defences(bare, catalogue(bare), {})) == []


def without_ingress(lab: Inventory) -> Inventory:
    """The same lab without Traefik."""
    return type(lab).model_validate(lab.model_dump(exclude_defaults=True, exclude={"ingress"}))


def defence(row: str, *defects: str, reason: str = "") -> Defence:
    return Defence(row=row, title="", tests=(), defects=dict.fromkeys(defects, ""), reason=reason)


def test_a_bare_row_is_told_and_so_is_a_needless_reason() -> None:
    good = [defence("L1-01", "one"), defence("L1-02", reason="no kernel of its own")]
    assert gaps(good) == []
    assert gaps([defence("L1-03"), *good, defence("L1-04", "two", reason="none")]) == [
        "L1-03: no defect proves that its test can fail",
        "L1-04: a defect, and a reason for having none",
    ]


def test_a_reason_is_for_a_row_that_has_a_test() -> None:
    tested = {answer.row for answer in answers()}
    assert {name for name, row in rows().items() if row.unproven} <= tested


@pytest.mark.parametrize("lab", [INVENTORY, ELSEWHERE], ids=lambda lab: str(lab.lab))
def test_there_are_many_defects_and_of_each_kind_at_least_four(lab: Inventory) -> None:
    found = families(lab)
    assert sum(map(len, found.values())) >= LEAST
    # add-ons of one section are one kind: small ones beside those that keep and tell what they say
    sections = {f"add-on {addon.name}": addon.section for addon in selected(lab) if addon.section}
    many = Counter[str]()
    for kind, members in found.items():
        many[sections.get(kind, kind)] += len(members)
    assert {kind: count for kind, count in many.items() if count < OF_A_KIND} == {}


@pytest.mark.parametrize("kind", OF_MACHINES)
@pytest.mark.parametrize("role", list(HostRole))
def test_what_is_broken_on_machines_is_broken_on_machines_of_every_role(kind: str, role: HostRole) -> None:
    places = {one.place for one in families(INVENTORY)[kind] if isinstance(one, Breakage)}
    assert places & set(INVENTORY.named(role))


def test_every_layer_that_a_lab_of_containers_runs_in_a_minute_has_defects() -> None:
    assert {one.layer for one in DEFECTS} >= {"render", "node", "cluster", "services"}
