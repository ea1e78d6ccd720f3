"""The checker of histories, on recorded good and bad ones."""

from __future__ import annotations

import pytest

from lab.verify.history import Fate, Operation, gap, problems, rate, to_json


def write(number: int, began: float, ended: float, fate: Fate = Fate.OK) -> Operation:
    return Operation("writer", began, ended, fate, number=number)


def read(seen: tuple[int, ...], began: float, ended: float, client: str = "reader") -> Operation:
    return Operation(client, began, ended, Fate.OK, seen=seen)


GOOD = [
    write(1, 0.0, 0.1),
    read((1,), 0.2, 0.3),
    write(2, 0.3, 0.4),
    read((1, 2), 0.35, 0.45),
    write(3, 0.5, 2.5, Fate.UNKNOWN),
    read((1, 2), 0.6, 0.7),
    read((1, 2, 3), 3.0, 3.1),
    write(4, 3.2, 3.3, Fate.REFUSED),
    write(5, 3.4, 3.5),
]


def test_a_good_history_has_no_problems() -> None:
    assert problems(GOOD, (1, 2, 3, 5)) == []


def test_an_unanswered_write_may_have_happened_or_not() -> None:
    without = [operation for operation in GOOD if 3 not in operation.seen]
    assert problems(without, (1, 2, 5)) == []


@pytest.mark.parametrize(
    ("extra", "final", "said"),
    [
        ([], (1, 3, 5), "acknowledged write 2 is lost"),
        ([], (1, 2, 3, 4, 5), "write 4 was refused and happened"),
        ([], (1, 2, 2, 3, 5), "2 stands in the list twice"),
        ([], (1, 2, 3, 5, 9), "9 stands in the list and was never written"),
        ([], (2, 1, 3, 5), "write 1 stands after 2"),
        ([read((1,), 3.6, 3.7)], (1, 2, 3, 5), "read an old list: write 5"),
        ([read((1, 2, 3, 5), 3.6, 3.7), read((1, 2, 3), 3.8, 3.9)], (1, 2, 3, 5), "went back from 4 to 3"),
        ([read((1, 3), 2.9, 3.0)], (1, 2, 3, 5), "no part of the final one"),
        ([read((1, 2, 3, 5), 3.0, 3.05)], (1, 2, 3, 5), "read 5 before it was written"),
    ],
)
def test_a_bad_history_is_named(extra: list[Operation], final: tuple[int, ...], said: str) -> None:
    assert any(said in text for text in problems([*GOOD, *extra], final)), problems([*GOOD, *extra], final)


def test_reads_that_overlap_may_differ() -> None:
    overlapping = [write(1, 0.0, 0.5), read((1,), 0.1, 0.4), read((), 0.2, 0.3, "writer")]
    assert problems(overlapping, (1,)) == []


def test_the_gap_is_the_longest_pause_after_the_fault() -> None:
    reads = [read((), second, second + 0.05) for second in (0.0, 3.0, 3.1, 5.0, 5.1)]
    assert gap(reads, appends=False, since=3.05) == pytest.approx(1.9)
    assert gap(reads, appends=False, since=2.0) == pytest.approx(3.0)


def test_a_gap_without_an_end_is_infinite() -> None:
    assert gap([read((), 0.0, 0.1)], appends=False, since=1.0) == float("inf")
    assert gap(GOOD, appends=True, since=100.0) == float("inf")


def test_only_acknowledged_writes_count_for_the_rate() -> None:
    assert rate(GOOD, begin=0.0, end=4.0) == pytest.approx(3 / 4)


def test_a_history_is_written_relative_to_the_fault() -> None:
    lines = to_json(GOOD[:1], (1,), fault_at=1.0).splitlines()
    assert '"began": -1.0' in lines[0]
    assert lines[-1] == '{"final": [1]}'
