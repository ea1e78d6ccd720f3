"""What the plugin does around tests: facts that are asked for early, evidence that is wanted or not."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from lab.checks.items import checks_of
from lab.checks.outcomes import Mismatch
from lab.verify import plugin
from lab.verify.layers import named
from lab.verify.stash import CONTEXT
from tests.soon import SOON


class Facts:
    """Remembers who was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.done = threading.Event()

    def gather(self, hosts: tuple[str, ...]) -> None:
        self.asked += hosts
        self.done.set()


def item(host: str, *fixtures: str) -> Any:
    return SimpleNamespace(fixturenames=fixtures, callspec=SimpleNamespace(params={"host": host}))


def finished(layer: str, items: list[Any], **worker: Any) -> Facts:
    facts = Facts()
    context = SimpleNamespace(layer=named(layer), evidence=True)
    stash = {CONTEXT: context, plugin.DRIVER: SimpleNamespace(facts=facts)}
    plugin.pytest_collection_finish(
        SimpleNamespace(config=SimpleNamespace(stash=stash, **worker), items=items)  # type: ignore[arg-type]
    )
    return facts


ITEMS = [item("worker-1", "facts"), item("master-1", "facts", "driver"), item("master-2", "driver")]


@pytest.mark.parametrize("worker", [{}, {"workerinput": {"workerid": "gw0"}}])
def test_hosts_whose_facts_are_wanted_are_asked_at_once(worker: dict[str, Any]) -> None:
    facts = finished("cluster", ITEMS, **worker)
    assert facts.done.wait(SOON)
    assert facts.asked == ["master-1", "worker-1"]


@pytest.mark.parametrize(
    ("layer", "items", "worker"),
    [
        ("cluster", ITEMS, {"workerinput": {"workerid": "gw1"}}),
        ("cluster", [*ITEMS[2:], item("", "facts")], {}),
        ("node", ITEMS, {}),  # which asks every host before its workers start
    ],
)
def test_nobody_is_asked_twice_or_for_nothing(layer: str, items: list[Any], worker: dict[str, Any]) -> None:
    before = set(threading.enumerate())
    assert finished(layer, items, **worker).asked == []
    # a thread of another test may end at any time
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("wanted", [True, False])
def test_evidence_is_gathered_when_it_is_wanted(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    gathered: list[tuple[list[str], str]] = []

    def collect(_driver: Any, hosts: list[str], name: str, _trace: str) -> str:
        gathered.append((hosts, name))
        return name

    monkeypatch.setattr(plugin, "collect", collect)
    context = SimpleNamespace(layer=named("node"), evidence=wanted)
    test = SimpleNamespace(config=SimpleNamespace(stash={CONTEXT: context, plugin.DRIVER: None}))
    record: dict[str, Any] = {
        "id": "test_x.py::test[worker-1]",
        "host": "worker-1",
        "outcome": plugin.SEVERITY[0],
    }
    error = SimpleNamespace(value=Mismatch("mode", expected="0600", seen="0644"))
    plugin._judge(test, error, SimpleNamespace(longreprtext="", when="call"), record)  # type: ignore[arg-type]
    assert record["outcome"] is plugin.SEVERITY[-1]
    name = "evidence/test_x.py_test_worker-1_"
    assert gathered == ([(["worker-1"], name)] if wanted else [])
    assert record.get("evidence", "") == (name if wanted else "")


def test_a_test_answers_every_row_that_its_marks_name() -> None:
    marks = [SimpleNamespace(args=("P3-11", "P3-10")), SimpleNamespace(args=("L3-22",))]
    marked = SimpleNamespace(iter_markers=lambda _: iter(marks))
    assert checks_of(marked) == ("L3-22", "P3-10", "P3-11")  # type: ignore[arg-type]
