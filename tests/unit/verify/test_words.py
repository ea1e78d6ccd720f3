"""Words for people: what a failed check says of what it saw."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import pytest
from pydantic import BaseModel

from lab.checks.events import newest_events
from lab.checks.outcomes import CouldNotTell, Mismatch, Outcome
from lab.checks.words import LINES, WIDTH, brief, differing, fitted, named_objects, shown
from lab.objects import Object
from lab.verify.judging import judged

PYTHON = re.compile(r"\b(True|False|None)\b|object at 0x|[{\[]'|'[}\]]|\w+\(\w+=")
"""What only a Python program would say."""

POD: Object = {
    "metadata": {
        "name": "front-7d9",
        "namespace": "site",
        "uid": "0b7e",
        "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
    },
    "spec": {"nodeName": "worker-1", "containers": [{"name": "front", "image": "x", "env": [{"name": "A"}]}]},
    "status": {
        "phase": "Pending",
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
            {"type": "PodScheduled", "status": "True"},
        ],
        "containerStatuses": [
            {
                "name": "front",
                "ready": False,
                "state": {"waiting": {"reason": "ErrImageNeverPull", "message": "image is not present"}},
            }
        ],
    },
}
NODE: Object = {
    "kind": "Node",
    "metadata": {"name": "worker-2"},
    "status": {
        "conditions": [
            {"type": "MemoryPressure", "status": "False"},
            {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure"},
            {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."},
        ]
    },
}


@dataclass(frozen=True)
class Held:
    """Something of ours that has no words of its own."""

    host: str
    ready: bool


class Shape(BaseModel):
    name: str
    port: int | None = None


class Bare:
    """Something that nobody has words for."""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "nothing"),
        (True, "yes"),
        (False, "no"),
        ({"a": True, "b": None}, "a: yes, b: nothing"),
        ([], "nothing"),
        ({"b", "a"}, "a, b"),
        ((1, "x"), "1, x"),
        (b"text", "text"),
        (Outcome.FAILED, "failed"),
        (IPv4Address("10.1.1.1"), "10.1.1.1"),
        (Held("worker-1", False), "host: worker-1, ready: no"),
        ([Held("worker-1", True)], "host: worker-1, ready: yes"),
        (Shape(name="x"), "name: x, port: nothing"),
        (Bare(), "a Bare"),
        (ValueError("no"), "no"),
    ],
)
def test_a_value_is_told_without_python(value: Any, told: str) -> None:
    assert shown(value) == told
    assert not PYTHON.search(shown(value))


def test_a_pod_is_a_line_with_machine_and_state() -> None:
    assert brief(POD) == (
        "Pod site/front-7d9 on worker-1: Pending; front is waiting (ErrImageNeverPull: image is not present)"
    )


def test_a_node_is_a_line_with_the_conditions_that_are_not_good() -> None:
    assert brief(NODE) == (
        "Node worker-2: DiskPressure is True (KubeletHasDiskPressure); "
        "Ready is Unknown (Kubelet stopped posting node status.)"
    )


def test_a_deployment_tells_how_many_are_ready_and_a_going_object_since_when() -> None:
    item = {
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "s", "deletionTimestamp": "2026-11-30T11:00:00Z"},
        "spec": {"replicas": 2},
        "status": {"readyReplicas": 1},
    }
    assert brief(item) == "Deployment s/d: being deleted since 2026-11-30T11:00:00Z; 1 of 2 Ready"


def test_pods_in_a_message_are_a_line_each_and_never_whole() -> None:
    error = Mismatch("pods of front in site", expected="2 Ready within 90 s", seen=[POD, POD, NODE])
    lines = str(error).splitlines()
    assert lines[0] == "pods of front in site: expected 2 Ready within 90 s; seen:"
    assert lines[1:] == [f"  {brief(item)}" for item in (POD, POD, NODE)]
    assert "managedFields" not in str(error)
    assert "managedFields" not in error.seen


def test_a_short_message_stays_in_its_line() -> None:
    assert str(Mismatch("mode", expected="0600", seen="0644")) == "mode: expected 0600; seen: 0644"


@pytest.mark.parametrize(
    "seen",
    [
        [f"host-{number}: {'x' * 50}" for number in range(100)],
        {f"host-{number}": {"deep": ["x" * 900]} for number in range(100)},
        "\n".join(f"line {number}" for number in range(100)),
        "x" * 100_000,
        [POD] * 50,
    ],
)
def test_a_message_is_never_longer_than_a_screen_can_take(seen: Any) -> None:
    lines = str(Mismatch("things", expected=["y" * 500] * 9, seen=seen)).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH + 200
    assert lines[0].startswith("things: expected y")


def test_what_is_left_out_is_counted() -> None:
    told = fitted("\n".join(f"line {number}" for number in range(20))).splitlines()
    assert (len(told), told[-2:]) == (15, ["line 13", "  … and 6 more lines"])


def test_only_the_differing_lines_of_two_texts_are_told() -> None:
    wanted = "table inet x {\n\tchain input {\n\t\tpolicy drop;\n\t\ttcp dport 22 accept\n\t}\n}\n"
    seen = wanted.replace("policy drop", "policy accept").replace(
        "}\n}", "\ttcp dport 2379 accept\n\t}\n}", 1
    )
    assert differing(wanted, seen) == ["- policy drop;", "+ policy accept;", "+ tcp dport 2379 accept"]
    assert differing(wanted, wanted) == []


def test_objects_are_found_in_words_and_paths_are_none() -> None:
    text = "kube-system/coredns-1: c: not ready, deployment site/front; /etc/x/y 10.0.0.0/8 a/b/c 80/tcp"
    assert named_objects(text) == [("kube-system", "coredns-1"), ("site", "front")]


class Told:
    """A cluster that knows events."""

    def __init__(self, *events: tuple[str, str, str, str]) -> None:
        self.events, self.asked = events, list[str]()

    def items(self, path: str) -> list[Object]:
        self.asked.append(path)
        return [
            {
                "type": kind,
                "reason": reason,
                "message": f"about\n {name}",
                "lastTimestamp": when,
                "involvedObject": {"kind": "Pod", "namespace": "site", "name": name},
            }
            for when, kind, reason, name in self.events
        ]


def test_the_newest_warning_about_an_object_or_what_it_owns_is_told() -> None:
    cluster = Told(
        ("2026-11-30T11:03:00Z", "Normal", "Scheduled", "front-1"),
        ("2026-11-30T11:01:00Z", "Warning", "Failed", "front-1"),
        ("2026-11-30T11:02:00Z", "Warning", "BackOff", "front-1"),
        ("2026-11-30T11:09:00Z", "Warning", "BackOff", "frontier"),
    )
    assert newest_events(cluster, [("site", "front"), ("site", "nobody")]) == [  # type: ignore[arg-type]
        "  event: 2026-11-30T11:02:00Z Warning BackOff of Pod site/front-1: about front-1"
    ]
    assert cluster.asked == ["/api/v1/namespaces/site/events?limit=500"], "a namespace is asked once"


def test_a_silent_api_has_no_events_and_is_no_further_trouble() -> None:
    class Silent(Told):
        def items(self, path: str) -> list[Object]:
            raise CouldNotTell(path)

    assert newest_events(Silent(), [("site", "front")]) == []  # type: ignore[arg-type]


def broken() -> None:
    raise KeyError("status")


def whole() -> None:
    assert POD == NODE


def blind() -> None:
    raise CouldNotTell("x: worker-1: not reachable", cause="worker-1: not reachable")


@pytest.mark.parametrize(
    ("check", "outcome", "said"),
    [
        (
            broken,
            Outcome.COULD_NOT_TELL,
            "the check broke, which is a defect of Plumbline: KeyError: 'status'",
        ),
        (whole, Outcome.FAILED, "an assertion of the check itself: "),
        (blind, Outcome.COULD_NOT_TELL, "x: worker-1: not reachable"),
    ],
)
def test_what_a_check_raises_is_told_in_a_line(
    check: Callable[[], None], outcome: Outcome, said: str
) -> None:
    with pytest.raises(Exception) as raised:
        check()
    found, details = judged(raised.value)
    assert found is outcome
    assert details["message"].startswith(said)
    assert len(details["message"].splitlines()) == 1
    assert len(details["message"]) < WIDTH + 60


def test_a_cause_goes_with_the_record() -> None:
    assert judged(CouldNotTell("a"))[1]["cause"] == "a"
    with pytest.raises(CouldNotTell) as raised:
        blind()
    assert judged(raised.value)[1]["cause"] == "worker-1: not reachable"
