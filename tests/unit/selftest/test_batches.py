"""Which defects share a wave: what they say of themselves decides; who says nothing of it stays alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lab.checks.outcomes import Outcome
from lab.inventory import load
from lab.selftest.batches import FEW, TOLD_TOGETHER, Batch, batches, conflict, fits
from lab.selftest.catalogue import catalogue
from lab.selftest.defect import Breakage, Defect, Slip, edited, filtered, moved, served
from lab.selftest.drift import MOST, draw
from lab.selftest.on_cluster import kubectl, made, removed, rewritten

INVENTORY = load("rehearsal")
BLIND = Outcome.COULD_NOT_TELL


def breakage(name: str, row: str = "", host: str = "worker-1", **fields: Any) -> Breakage:
    values = {"title": "", "layer": "node", "says": name, "damage": name, "repair": "", "touches": (name,)}
    return Breakage(name=name, row=row or f"row of {name}", host=host, **values | fields)


def slip(name: str, **fields: Any) -> Slip:
    values = {
        "title": "",
        "row": "L0-07",
        "host": "haproxy",
        "says": name,
        "file": "f",
        "old": name,
        "new": "",
    }
    return Slip(name=name, **values | fields)


def test_different_things_and_different_checks_go_together() -> None:
    one, other = breakage("one"), breakage("other")
    assert conflict(one, other) == ""
    assert conflict(one, breakage("same-row-elsewhere", one.row, "worker-2")) == ""
    assert conflict(slip("one"), slip("other", row="L0-06")) == ""


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"alone": True}, "other stands alone"),
        ({"touches": ()}, "other does not say what it touches"),
        ({"layer": "cluster"}, "different layers"),
        ({"settles": True}, "one of them settles"),
        ({"touches": ("one", "more")}, "both touch one of worker-1"),
        ({"row": "row of one"}, "row of one tells of one of them only"),
        ({"row": "row of one", "listed": True}, "row of one tells of one of them only"),
        ({"reddens": ("row of one",)}, "other turns row of one red as well"),
        ({"stops": ("the API",)}, "one needs the API, which other stops"),
        ({"outcome": BLIND}, "other keeps verify from looking at worker-1"),
    ],
)
def test_what_keeps_two_apart_is_told_whoever_is_asked_first(fields: dict[str, Any], why: str) -> None:
    one, other = breakage("one", needs=("the API",)), breakage("other", **fields)
    assert why in conflict(one, other)
    assert why in conflict(other, one)


def test_the_same_thing_of_another_host_is_another_thing() -> None:
    one, other = breakage("one", touches=("unit a",)), breakage("other", host="worker-2", touches=("unit a",))
    assert conflict(one, other) == ""
    at = breakage("at", host="worker-2", at="worker-1", touches=("unit a",))
    assert "both touch unit a of worker-1" in conflict(one, at)


def test_a_check_that_lists_all_it_finds_names_several_if_their_words_differ() -> None:
    one, other = (breakage(name, "P1-01", listed=True) for name in ("one", "other"))
    assert conflict(one, other) == ""
    prefix = breakage("prefix", "P1-01", listed=True, says="on")
    assert (
        conflict(prefix, one)
        == conflict(one, prefix)
        == ("the words of one would be taken for those of the other")
    )
    # what it reddens does not hide who is listed beside it
    assert conflict(one, breakage("noisy", reddens=("P1-01",))) == ""


def test_a_check_need_not_list_more_than_a_short_message_holds() -> None:
    many = [breakage(f"file {number}.", "P1-01", listed=True) for number in range(TOLD_TOGETHER + 1)]
    assert fits(many[: TOLD_TOGETHER - 1], many[-1])
    assert not fits(many[:TOLD_TOGETHER], many[-1])
    assert sorted(len(wave.defects) for wave in batches(many)) == [1, TOLD_TOGETHER]


def test_a_wave_is_told_in_one_line_however_many_it_holds() -> None:
    few, many = (tuple(breakage(f"d{number}") for number in range(count)) for count in (FEW, 100))
    assert Batch("node", few).title == "d0, d1, d2, d3, d4, d5"
    assert Batch("node", many).title == "d0, d1, d2, d3, d4, d5 and 94 more"


def test_a_blinded_machine_is_kept_from_its_own_checks_and_from_those_that_compare_all() -> None:
    blind = breakage("blind", host="master-3", outcome=BLIND)
    assert "looking at master-3" in conflict(blind, breakage("all", host="", at="master-1"))
    assert "looking at master-3" in conflict(blind, breakage("seen", host="worker-1", at="master-3"))
    assert conflict(blind, breakage("elsewhere", host="worker-1")) == ""
    assert conflict(blind, breakage("also-blind", host="worker-1", outcome=BLIND)) == ""


def test_a_mistake_in_a_template_is_seen_on_every_host() -> None:
    assert "L0-07 tells of one" in conflict(slip("one"), slip("other", host="worker-1"))
    assert "both touch" in conflict(slip("one"), slip("other", row="L0-06", old="one"))
    listed = (slip("one", listed=True), slip("other", listed=True))
    assert conflict(*listed) == ""


def test_waves_are_few_complete_and_settling_ones_come_last() -> None:
    defects: list[Defect] = [
        breakage("slow", settles=True),
        *(breakage(f"quick-{number}") for number in range(5)),
        breakage("alone", alone=True),
        breakage("undeclared", touches=()),
        breakage("slow-too", settles=True),
    ]
    packed = batches(defects)
    names = [{defect.name for defect in wave.defects} for wave in packed]
    assert names[-1] == {"slow", "slow-too"}
    assert sorted(map(len, names)) == [1, 1, 2, 5]
    assert batches([]) == []


def test_who_has_many_conflicts_chooses_first() -> None:
    """In the order of the list three waves are needed; two are enough."""
    chain = [
        breakage("a", stops=("x",)),
        breakage("d", stops=("z",)),
        breakage("b", needs=("x",), stops=("y",)),
        breakage("c", needs=("y", "z")),
    ]
    assert len(batches(chain)) == 2


def test_helpers_say_what_they_touch() -> None:
    lab = INVENTORY
    assert edited("n", "/etc/a", "d")["touches"] == moved("n", "/etc/a")["touches"] == ("file /etc/a",)
    assert served("n", 80)["touches"] == ("port 80",)
    assert filtered("drop")["touches"] != filtered("drop", hook="forward")["touches"]
    assert kubectl(lab, "cordon x", "uncordon x")["touches"] == ()
    assert kubectl(lab, "cordon x", "uncordon x", "node/x")["touches"] == ("node/x",)
    assert removed(lab, "role", "a", "s")["touches"] == made(lab, "role", "a", "{}")["touches"] == ("role/a",)
    assert rewritten(lab, "n", "configmap/a", "s", "d")["touches"] == ("configmap/a",)


@pytest.mark.parametrize("layer", sorted({defect.layer for defect in catalogue(INVENTORY)}))
def test_the_catalogue_is_packed_whole_and_without_a_conflict(layer: str) -> None:
    mine = [defect for defect in catalogue(INVENTORY) if defect.layer == layer]
    packed = batches(mine)
    assert sorted(d.name for wave in packed for d in wave.defects) == sorted(d.name for d in mine)
    for wave in packed:
        assert {conflict(a, b) for a in wave.defects for b in wave.defects if a is not b} <= {""}


def test_every_defect_of_the_catalogue_says_what_it_touches() -> None:
    assert [defect.name for defect in catalogue(INVENTORY) if not defect.things] == []


def test_chance_draws_what_may_be_together_and_a_seed_draws_the_same() -> None:
    defects = [defect for defect in catalogue(INVENTORY) if isinstance(defect, Breakage)]

    def draws(seed: str) -> list[tuple[str, ...]]:
        chance = random.Random(seed)
        return [tuple(one.name for one in draw(chance, defects).defects) for _ in range(60)]

    found = draws("drift")
    assert found == draws("drift")
    assert found != draws("another")
    assert {len(names) for names in found} == set(range(1, MOST + 1))
    by_name = {defect.name: defect for defect in defects}
    for names in found:
        picked = [by_name[name] for name in names]
        assert {conflict(a, b) for a in picked for b in picked if a is not b} <= {""}
