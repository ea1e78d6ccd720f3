"""What a lab's alerts said during a fault: one question, recorded answers, and never a failure of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from addons.prometheus.client import PATH, spans
from lab.checks.alerts import alerts_since
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused
from lab.faults.catalogue import fault
from lab.faults.clients import Watcher
from lab.faults.fault_run import FaultRun
from lab.faults.inject import LiveFault
from lab.faults.traffic import Traffic
from lab.labs import Lab
from lab.render.bundle import pins
from lab.report.series import Series, read
from tests.fakes import FakeProvider
from tests.world import INVENTORY, inventory

WITH = f"{INVENTORY}observability: {{}}\n"
KUBELET = {
    "__name__": "ALERTS",
    "alertname": "KubeletDown",
    "alertstate": "firing",
    "severity": "critical",
    "host": "worker-1",
    "job": "kubelet",
    "instance": "10.1.1.31:10250",
}


def answer(*series: tuple[dict[str, str], list[float]]) -> dict[str, Any]:
    """What Prometheus answers to a question about a time."""
    result = [{"metric": labels, "values": [[at, "1"] for at in times]} for labels, times in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


class Asked:
    """The API server, which hands a question on to Prometheus."""

    def __init__(self, said: dict[str, Any] | Exception) -> None:
        self.said = said
        self.paths: list[str] = []

    def request(self, method: str, path: str) -> dict[str, Any]:
        assert method == "GET"
        self.paths.append(path)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def driver(folder: Path, asked: Asked, text: str = WITH) -> Driver:
    lab = Lab(inventory(text), folder, FakeProvider())
    return Driver(lab, folder, pins(lab.inventory), stand_in=asked)  # type: ignore[arg-type]


def test_looks_in_a_row_are_one_span_and_a_missing_look_ends_it() -> None:
    found = spans(answer((KUBELET, [100, 105, 110, 130, 135])), 5)
    assert [(span.t, span.until) for span in found] == [(100, 110), (130, 135)]
    assert {(span.name, span.of, span.severity, span.state) for span in found} == {
        ("KubeletDown", "host=worker-1, instance=10.1.1.31:10250", "critical", "firing")
    }


def test_spans_stand_in_the_order_in_which_they_began() -> None:
    pending = KUBELET | {"alertstate": "pending"}
    found = spans(answer((KUBELET, [105]), (pending, [95, 100])), 5)
    assert [(span.state, span.t, span.until) for span in found] == [
        ("pending", 95, 100),
        ("firing", 105, 105),
    ]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"text": "no endpoints available"},
        answer(({"alertname": "X"}, [1])),
        answer(({"alertname": "X", "alertstate": "asleep"}, [1])),
        answer((KUBELET, [])),
    ],
)
def test_what_is_no_list_of_alerts_is_told(said: dict[str, Any]) -> None:
    with pytest.raises(CouldNotTell, match="Prometheus answers with what is no list of alerts"):
        spans(said, 5)


def test_one_question_is_asked_and_told_by_the_clock_of_the_fault(tmp_path: Path) -> None:
    now, began = time.time(), time.monotonic() - 60
    asked = Asked(answer((KUBELET, [now - 30, now - 25])))
    found = alerts_since(driver(tmp_path, asked), began)
    assert found is not None
    (path,) = asked.paths
    assert urlsplit(path).path == PATH
    put = {name: value for name, (value,) in parse_qs(urlsplit(path).query).items()}
    assert put["query"] == 'ALERTS{alertname!="Watchdog"}'
    assert float(put["start"]) == pytest.approx(now - 60, abs=1)
    assert float(put["end"]) == pytest.approx(now, abs=1)
    (span,) = found.spans
    assert (span.t - began, span.until - began) == pytest.approx((30, 35), abs=1)
    assert found.unread == ""


def test_a_long_time_is_asked_in_steps_that_prometheus_answers(tmp_path: Path) -> None:
    asked = Asked(answer())
    alerts_since(driver(tmp_path, asked), time.monotonic() - 200_000)
    (step,) = parse_qs(urlsplit(asked.paths[0]).query)["step"]
    assert float(step) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("error", [CouldNotTell("API: 503: no endpoints"), Refused("API: 404: no service")])
def test_nobody_who_answers_is_said_and_is_no_failure(tmp_path: Path, error: Exception) -> None:
    found = alerts_since(driver(tmp_path, Asked(error)), time.monotonic())
    assert found is not None
    assert (found.spans, found.unread) == ((), str(error).partition("\n")[0])


@pytest.mark.parametrize("text", [WITH, INVENTORY])
def test_the_story_of_a_fault_is_kept_with_its_alerts(
    tmp_path: Path, request: pytest.FixtureRequest, text: str
) -> None:
    began = time.monotonic() - 60
    asked = Asked(answer((KUBELET, [time.time() - 30])))
    clients = Traffic(None, None, (), Watcher("watch", None, 0), (), (), "")  # type: ignore[arg-type]
    live = LiveFault(fault(Lab(inventory(), tmp_path, FakeProvider()), "power-off", "worker-1"), began)
    FaultRun(driver(tmp_path, asked, text), None, None, request.node)._keep(clients, live)  # type: ignore[arg-type]
    (story,) = read(tmp_path)
    assert isinstance(story, Series)
    told = [(span.name, round(span.t - began)) for span in story.alerts.spans] if story.alerts else None
    assert told == ([("KubeletDown", 30)] if text == WITH else None)
    assert len(asked.paths) == (text == WITH)


def test_a_lab_without_alerts_is_not_asked(tmp_path: Path) -> None:
    asked = Asked(answer())
    assert alerts_since(driver(tmp_path, asked, INVENTORY), time.monotonic()) is None
    assert asked.paths == []
