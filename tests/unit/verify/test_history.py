"""The checker of histories: good ones pass, and every planted violation is found with its operations."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lab.checks.history import LOST, ClientOp, Fate, WatchEvent, gap, judge, lost, rate, to_json


def write(value: str, began: float, ended: float, base: int, version: int = 0, **more: Any) -> ClientOp:
    made = ClientOp("w", "a", True, began, ended, Fate.OK, value, version, base)
    return replace(made, **more)


def read(value: str, began: float, ended: float, version: int, **more: object) -> ClientOp:
    return replace(ClientOp("r", "a", False, began, ended, Fate.OK, value, version), **more)  # type: ignore[arg-type]


UNKNOWN: dict[str, Any] = {"fate": Fate.UNKNOWN, "version": 0}
# as recorded: version 10 is the register as it was made
GOOD = (
    read("0:", 0.0, 0.1, 10, client="w"),
    write("1:w", 0.1, 0.2, 10, 11),
    read("1:w", 0.3, 0.4, 11),
    write("2:w", 0.4, 0.5, 11, 14),
    read("1:w", 0.41, 0.43, 11),
    read("2:w", 0.45, 0.55, 14),
    write("3:x", 0.6, 2.6, 14, **UNKNOWN),
    read("2:w", 0.7, 0.8, 14),
    read("3:x", 3.0, 3.1, 17),
    write("4:w", 3.2, 3.3, 14, fate=Fate.REFUSED),
    write("4:x", 3.4, 3.5, 17, 20),
    read("4:x", 9.0, 9.1, 20, client="last"),
)
WATCHED = (
    WatchEvent("a", 0.25, 11, "1:w"),
    WatchEvent("a", 0.55, 14, "2:w"),
    WatchEvent("a", 2.9, 17, "3:x"),
    WatchEvent("a", 3.6, 20, "4:x"),
)


def test_a_good_history_has_no_contradiction() -> None:
    assert judge(GOOD, WATCHED, since=10) == []


def test_a_list_stands_for_what_it_replaced_and_for_nothing_else() -> None:
    told = (WATCHED[0], WATCHED[2], WATCHED[3])  # version 14 is missing: 17 came from a list up to 18
    assert judge(GOOD, told, since=10, listed=[(11, 18)]) == []
    for listed in ([(14, 18)], [(11, 16)], [(17, 20)], []):
        assert [item.rule for item in judge(GOOD, told, since=10, listed=listed)] == ["watch: gap"], listed
    # what the list itself should have told is a gap
    assert [item.rule for item in judge(GOOD, WATCHED[:3], since=10, listed=[(17, 25)])] == ["watch: gap"]


def test_an_unanswered_write_may_never_have_happened() -> None:
    without = [item for item in GOOD if "3:x" not in (item.value,) or item.write]
    without = [replace(item, base=14) if item.value == "4:x" and item.write else item for item in without]
    assert judge(without, [event for event in WATCHED if event.version != 17], since=10) == []


def test_operations_at_the_same_time_may_see_either_state() -> None:
    overlapping = [
        write("1:w", 0.0, 0.5, 10, 11),
        read("1:w", 0.1, 0.4, 11),
        read("0:", 0.2, 0.3, 10),
        read("1:w", 1.0, 1.1, 11),
    ]
    assert judge(overlapping) == []


def changed(number: int, **more: object) -> tuple[ClientOp, ...]:
    return tuple(replace(item, **more) if at == number else item for at, item in enumerate(GOOD))  # type: ignore[arg-type]


def seen(number: int, **more: object) -> tuple[WatchEvent, ...]:
    return tuple(replace(item, **more) if at == number else item for at, item in enumerate(WATCHED))  # type: ignore[arg-type]


PLANTED: dict[str, tuple[str, tuple[ClientOp, ...], tuple[WatchEvent, ...]]] = {
    "the last write is gone": (LOST, changed(11, value="3:x", version=17), WATCHED),
    "all writes are gone": (LOST, changed(11, value="0:", version=10), WATCHED),
    "two masters acknowledge over one state": (
        LOST,
        (*GOOD, write("2:z", 0.42, 0.6, 11, 15, client="z")),
        WATCHED,
    ),
    "a write over an old state": (LOST, changed(10, base=11), WATCHED),
    "two writes made one version": ("two states", changed(10, version=14, base=11), WATCHED),
    "one version, two values": ("two states", changed(7, value="1:w"), WATCHED),
    "the watch tells another value": ("two states", GOOD, seen(1, value="1:w")),
    "a version that does not rise": ("compare-and-set", changed(3, version=11), WATCHED),
    "a version that falls": ("compare-and-set", changed(3, version=9), WATCHED),
    "a read of an older state": ("stale read", changed(8, value="1:w", version=11), WATCHED),
    "a read goes back behind another read": (
        "stale read",
        (*GOOD, read("2:w", 3.15, 3.18, 14, client="s")),
        WATCHED,
    ),
    "a stale read by another client": ("stale read", (*GOOD, read("2:w", 5.0, 5.1, 14, client="s")), WATCHED),
    "the first state long after": ("stale read", (*GOOD, read("0:", 5.0, 5.1, 10, client="s")), WATCHED),
    "a value nobody wrote": ("made up", changed(8, value="7:?"), WATCHED),
    "the watch saw a value nobody wrote": ("made up", GOOD, seen(2, value="7:?")),
    "a refused write happened": ("made up", (*GOOD, read("4:w", 3.6, 3.7, 21)), WATCHED),
    "read before it was written": ("made up", (*GOOD, read("4:x", 3.15, 3.18, 20, client="s")), WATCHED),
    "the watch saw it before it was written": ("made up", GOOD, seen(3, at=3.3)),
    "a write behind what was seen": ("order", (*GOOD, write("5:w", 5.0, 5.1, 12, 13)), WATCHED),
    "an unanswered write before it began": (
        "order",
        (*changed(6, began=3.12, ended=4.0), read("3:x", 3.12, 3.2, 17, client="s")),
        WATCHED,
    ),
    "a counter that stands still": ("counter", changed(10, value="3:y"), WATCHED),
    "a counter that falls": ("counter", changed(10, value="1:y"), WATCHED),
    "the watch missed an event": ("watch: gap", GOOD, WATCHED[:1] + WATCHED[2:]),
    "the watch missed the last event": ("watch: gap", GOOD, WATCHED[:3]),
    "the watch told twice": ("watch: duplicate", GOOD, (*WATCHED[:2], *WATCHED[1:])),
    "the watch went back": ("watch: order", GOOD, (WATCHED[1], WATCHED[0], *WATCHED[2:])),
    "the watch began anew": ("watch: order", GOOD, (*WATCHED, *WATCHED)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str) -> None:
    rule, history, watched = PLANTED[name]
    found = judge(history, watched, since=10)
    assert rule in {item.rule for item in found}, [str(item) for item in found]
    assert all(1 <= len(item.shown) <= 2 for item in found)  # the shortest history that contradicts
    assert [len(item.shown) for item in found] == sorted(len(item.shown) for item in found)


def test_at_least_twenty_violations_are_planted() -> None:
    assert len(PLANTED) >= 20


def test_lost_writes_are_counted_once_each() -> None:
    assert lost(judge(changed(11, value="0:", version=10))) == 3  # 1:w, 2:w and 4:x
    assert lost(judge(GOOD)) == 0


def test_a_contradiction_shows_its_operations() -> None:
    (first, *_) = judge(changed(11, value="3:x", version=17))
    assert str(first).splitlines() == [
        "lost write: '4:x' was acknowledged and is gone",
        "    w 3.400-3.500 s: wrote '4:x' over version 17, version 20 (ok)",
        "    last 9.000-9.100 s: read '3:x', version 17 (ok)",
    ]


def simulated(dice: random.Random, size: int, registers: int = 2, clients: int = 4) -> list[ClientOp]:
    """Clients of a true register: each operation takes effect at one moment between beginning and end."""
    state = {f"register-{number}": ("0:", 1) for number in range(registers)}
    version, history = 1, []
    free = dict.fromkeys((f"client-{number}" for number in range(clients)), 0.0)
    moments = []
    for number in range(size):
        client = min(free, key=lambda name: free[name])
        began = free[client] + dice.random() / 10
        ended = began + 0.001 + dice.random() / 10
        free[client] = ended
        moments.append((began + (ended - began) * dice.random(), began, ended, client, number))
    for _, began, ended, client, number in sorted(moments):
        register = dice.choice(sorted(state))
        value, at = state[register]
        if dice.random() < 0.5:
            history.append(ClientOp(client, register, False, began, ended, Fate.OK, value, at))
            continue
        wanted = f"{int(value.partition(':')[0]) + 1}:{client}-{number}"
        fate = dice.choices([Fate.OK, Fate.UNKNOWN, Fate.REFUSED], [8, 1, 1])[0]
        happens = fate is Fate.OK or (fate is Fate.UNKNOWN and dice.random() < 0.5)
        if happens:
            version += dice.randint(1, 3)
            state[register] = (wanted, version)
        made = version if fate is Fate.OK else 0
        history.append(ClientOp(client, register, True, began, ended, fate, wanted, made, at))
    end = max(item.ended for item in history) + 1
    history += [ClientOp("last", name, False, end, end + 1, Fate.OK, *state[name]) for name in sorted(state)]
    return history


@pytest.mark.parametrize("seed", range(40))
def test_a_true_register_is_never_accused(seed: int) -> None:
    found = judge(simulated(random.Random(seed), 200))
    assert found == [], [str(item) for item in found]


def _older(dice: random.Random, history: list[ClientOp]) -> list[ClientOp]:
    """A late read sees a state that was replaced and acknowledged long ago."""
    reads = [item for item in history if not item.write and item.register == "register-0"]
    early, late = reads[0], dice.choice(reads[len(reads) // 2 : -1])
    return [
        replace(item, value=early.value, version=early.version) if item is late else item for item in history
    ]


def _forgotten(dice: random.Random, history: list[ClientOp]) -> list[ClientOp]:
    """The lab forgets an acknowledged write: the last read sees the state before it."""
    writes = [item for item in history if item.write and item.good and item.register == "register-0"]
    before = dice.choice(writes[:-1])
    last = next(item for item in history if item.client == "last" and item.register == "register-0")
    return [
        replace(item, value=before.value, version=before.version) if item is last else item
        for item in history
    ]


@pytest.mark.parametrize("damage", [_older, _forgotten])
@pytest.mark.parametrize("seed", range(10))
def test_damage_to_a_true_history_is_found(
    seed: int, damage: Callable[[random.Random, list[ClientOp]], list[ClientOp]]
) -> None:
    dice = random.Random(seed)
    assert judge(damage(dice, simulated(dice, 300)))


def test_a_hundred_thousand_operations_are_judged_in_time_and_little_memory() -> None:
    history = simulated(random.Random(1), 100_000, registers=4, clients=16)
    begun = time.process_time()
    assert judge(history) == []
    assert time.process_time() - begun < 10
    tracemalloc.start()
    judge(history[: len(history) // 10])
    small = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    judge(history)
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert whole < 12 * small  # grows with the history and no faster
    assert whole < 64 * 2**20


def test_a_gap_is_the_longest_time_without_success_after_the_fault() -> None:
    assert gap(GOOD, writes=True, since=0.5) == pytest.approx(3.0)
    assert gap(GOOD, writes=False, since=4.0) == pytest.approx(6.0)
    assert gap(GOOD, writes=False, since=10.0) == float("inf")


def test_only_acknowledged_writes_count_for_the_rate() -> None:
    assert rate(GOOD, begin=0.0, end=4.0) == 0.75


def test_evidence_counts_from_the_fault() -> None:
    first, *_, last = to_json(GOOD, WATCHED, 1.0).splitlines()
    assert '"began": -1.0' in first
    assert '"at": 2.6' in last
