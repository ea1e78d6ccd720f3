"""Layer services: what machines and pods say is in the log store, once, whoever ends meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

import pytest

from addons.victorialogs.client import LogEntry, LogStore, Tally, tally
from addons.victorialogs.running import (
    await_ready,
    kill_shippers,
    replace_shippers,
    started_otherwise,
    store_away,
)
from addons.victorialogs.writing import APP, filling, journals, numbered, pods, to_journal, token
from lab.checks.driver import Driver
from lab.checks.verbs import becomes, holds, nothing, stays

FOUND_SECONDS = 60
QUICK_SECONDS = 10.0
"""Within which nineteen of twenty lines are there."""
CAUGHT_UP_SECONDS = 180
AWAY_SECONDS = 30
PAUSE = 1.0
COPIES = 5
"""Of one source when a shipper was ended in good order, or the store was away: the uploader sends its last
entry again whenever it starts, and a block on its way is sent again."""
LONG, LONGER = 20_000, 256 * 1024
"""Above what the runtime writes as one line of a file (16 KiB), and the longest that is promised."""


def _written(word: str, sources: Sequence[str], count: int) -> dict[str, Sequence[str]]:
    return {source: numbered(word, source, count) for source in sources}


def _arrived(
    store: LogStore, word: str, written: dict[str, Sequence[str]], *, within: float, copies: int
) -> Tally:
    """Every line is there, under its own machine's name, and once; exact copies up to a number."""
    found: Tally = becomes(
        f"lines with {word} in the log store",
        lambda: tally(store.entries(word), written),
        lambda seen: not seen.missing,
        within=within,
        expected="none missing",
        command=store.command(word),
    )
    nothing(f"lines with {word}", found.trouble, rule="each once", command=store.command(word))
    many = {source: number for source, number in found.copies.items() if number > copies}
    nothing(f"copies of lines with {word}", many, rule=f"at most {copies} of one source")
    return found


def _seconds(entry: LogEntry, now: float) -> float:
    """How old an entry is when it is seen."""
    # nanoseconds are more than datetime knows
    text = entry.time.rstrip("Z")
    whole, _, part = text.partition(".")
    return now - datetime.fromisoformat(f"{whole}.{part[:6]:0<6}+00:00").timestamp()


@pytest.mark.check("P3-40")
def test_every_line_of_machines_and_pods_is_found(driver: Driver, store: LogStore) -> None:
    """Twenty lines of each machine's journal and of a pod on each node: all there, once, and soon."""
    of_machines, of_pods, count = token(), token(), 20
    wanted = {
        of_machines: _written(of_machines, tuple(driver.inventory.hosts), count),
        of_pods: _written(of_pods, driver.inventory.nodes, count),
    }
    ages: dict[tuple[str, str], float] = {}

    def look() -> dict[str, dict[str, str]]:
        missing = {}
        for word, written in wanted.items():
            entries, now = store.entries(word), time.time()
            for entry in entries:
                ages.setdefault((entry.source, entry.text), _seconds(entry, now))
            if lacking := tally(entries, written).missing:
                missing["pods" if word == of_pods else "journals"] = lacking
        return missing

    with pods(driver, of_pods, count=count, pause=PAUSE) as space:
        space.await_pods(APP, len(driver.inventory.nodes))
        with journals(driver, wanted[of_machines], pause=PAUSE):
            becomes(
                "lines missing in the log store",
                look,
                lambda missing: not missing,
                within=count * PAUSE + FOUND_SECONDS,
                expected="none",
                command=store.command(of_machines),
            )
        for word, written in wanted.items():
            _arrived(store, word, written, within=0, copies=0)
    slow = sorted(ages.values())[len(ages) * 19 // 20]
    holds(
        "age at which nineteen of twenty lines are found",
        slow <= QUICK_SECONDS,
        expected=f"at most {QUICK_SECONDS:g} s",
        seen=f"{slow:.1f} s",
    )


@pytest.mark.check("P3-41")
def test_no_line_is_lost_while_the_store_is_away(driver: Driver, store: LogStore) -> None:
    """Lines before, while and after the store is away for half a minute are all there in the end."""
    of_machines, of_pods, count = token(), token(), 60
    machines = _written(of_machines, tuple(driver.inventory.hosts), count)
    with pods(driver, of_pods, count=count, pause=PAUSE) as space:
        space.await_pods(APP, len(driver.inventory.nodes))
        with journals(driver, machines, pause=PAUSE), store_away(driver):
            stays(
                "pods that write",
                lambda: len(space.pods(APP)),
                lambda number: number == len(driver.inventory.nodes),
                seconds=AWAY_SECONDS,
                expected="one on every node",
            )
        _arrived(store, of_machines, machines, within=CAUGHT_UP_SECONDS, copies=COPIES)
        nodes = _written(of_pods, driver.inventory.nodes, count)
        _arrived(store, of_pods, nodes, within=CAUGHT_UP_SECONDS, copies=COPIES)


@pytest.mark.check("P3-42")
def test_no_line_is_lost_when_shippers_are_replaced(driver: Driver, store: LogStore) -> None:
    """Every shipper and uploader is replaced while lines are written: each line is there, and once."""
    of_machines, of_pods, count = token(), token(), 40
    machines = _written(of_machines, tuple(driver.inventory.hosts), count)
    with pods(driver, of_pods, count=count, pause=PAUSE) as space:
        space.await_pods(APP, len(driver.inventory.nodes))
        with journals(driver, machines, pause=PAUSE):
            replace_shippers(driver)
        _arrived(store, of_machines, machines, within=CAUGHT_UP_SECONDS, copies=COPIES)
        nodes = _written(of_pods, driver.inventory.nodes, count)
        _arrived(store, of_pods, nodes, within=CAUGHT_UP_SECONDS, copies=COPIES)


@pytest.mark.check("P3-42")
def test_no_line_is_lost_when_shippers_are_killed(driver: Driver, store: LogStore) -> None:
    """After kill -9 every line is there; what a shipper had read since its last checkpoint, as copies."""
    of_machines, of_pods, count = token(), token(), 90
    machines = _written(of_machines, tuple(driver.inventory.hosts), count)
    with pods(driver, of_pods, count=count, pause=PAUSE) as space:
        space.await_pods(APP, len(driver.inventory.nodes))
        with journals(driver, machines, pause=PAUSE):
            kill_shippers(driver)
        _arrived(store, of_machines, machines, within=CAUGHT_UP_SECONDS, copies=COPIES)
        nodes = _written(of_pods, driver.inventory.nodes, count)
        _arrived(store, of_pods, nodes, within=CAUGHT_UP_SECONDS, copies=count)


@pytest.mark.check("P3-43")
def test_long_entries_of_a_journal_arrive_whole(driver: Driver, store: LogStore) -> None:
    """20 KB, 256 KiB, letters of several bytes, and an entry of several lines: one entry each."""
    word = token()
    written: dict[str, Sequence[str]] = {
        host: [
            f"{word} {host} long{filling(LONG)}",
            f"{word} {host} longer{filling(LONGER)}",
            f"{word} {host} {'ä€𝄞' * 4000}",
            f"{word} {host}\n  at second\n\n  at fourth",
        ]
        for host in driver.inventory.hosts
    }
    for host, texts in written.items():
        to_journal(driver, host, texts)
    _arrived(store, word, written, within=FOUND_SECONDS, copies=0)


@pytest.mark.check("P3-43")
@pytest.mark.parametrize(("pad", "pieces"), [(LONG, 1), (LONGER, 1), (0, 3)])
def test_long_lines_of_a_pod_arrive_whole(driver: Driver, store: LogStore, pad: int, pieces: int) -> None:
    """A line above 16 KiB is in several parts in its file, and one entry; three lines are three entries."""
    word = token()
    written: dict[str, Sequence[str]] = {
        node: [
            f"{word} {node} 1{filling(pad) if pad else ''}",
            *(f"  {word} {node} 1 piece {piece}" for piece in range(2, pieces + 1)),
        ]
        for node in driver.inventory.nodes
    }
    with pods(driver, word, count=1, pause=PAUSE, pad=pad, pieces=pieces) as space:
        space.await_pods(APP, len(driver.inventory.nodes))
        _arrived(store, word, written, within=FOUND_SECONDS, copies=0)


@pytest.mark.check("P3-44")
def test_store_and_shippers_run_as_the_inventory_says(driver: Driver) -> None:
    """By their own word: retention by days and by size, bounds of memory, lines and buffers, the target."""
    await_ready(driver, "victorialogs", 1)
    await_ready(driver, "vlagent", len(driver.inventory.nodes))
    nothing(
        "arguments of the log store and its shippers",
        started_otherwise(driver),
        rule="as the inventory says",
        command="kubectl -n monitoring get pods -o yaml",
    )
