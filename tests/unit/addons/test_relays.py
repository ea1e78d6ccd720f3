"""Relays to metrics on loopback: which addresses must answer how, and who may listen where."""

from __future__ import annotations

import json

import pytest

from addons.prometheus import relays
from lab.hosts.facts import Listener
from lab.inventory.models import Inventory
from lab.render.bundle import bundle, pins
from tests.fakes import CONTAINERS
from tests.world import INVENTORY, inventory


@pytest.fixture
def lab() -> Inventory:
    return inventory(INVENTORY + "observability: {}\n")


def expected(lab: Inventory, name: str) -> dict[str, tuple[str, ...]]:
    return relays.expected(lab, bundle(lab, CONTAINERS, pins(lab), name))


def test_each_machine_answers_for_what_it_runs(lab: Inventory) -> None:
    metrics, token = ("200 metrics",), ("401", "403")
    assert expected(lab, "worker-1") == {"http://10.1.1.31:10249/metrics": metrics}
    assert expected(lab, "haproxy") == {"http://10.1.1.50:8404/metrics": metrics}
    assert expected(lab, "master-1") == {
        "http://10.1.1.11:10249/metrics": metrics,
        "http://10.1.1.11:2381/metrics": metrics,
        "https://10.1.1.11:10257/metrics": token,
        "https://10.1.1.11:10259/metrics": token,
    }


@pytest.mark.parametrize(
    ("said", "silent"),
    [
        ("200 metrics", False),
        ("200 no metrics", True),
        ("404 Not Found", True),
        ("URLError: <urlopen error [Errno 111] Connection refused>", True),
    ],
)
def test_another_answer_is_named(lab: Inventory, said: str, silent: bool) -> None:
    url = "http://10.1.1.31:10249/metrics"

    class Asked:
        def __init__(self) -> None:
            self.inventory = lab
            self.bundles = {"worker-1": bundle(lab, CONTAINERS, pins(lab), "worker-1")}

        def read(self, host: str, command: str, *, stdin: str, seconds: float) -> str:
            assert (host, json.loads(stdin)["urls"], seconds > relays.SECONDS) == ("worker-2", [url], True)
            assert "python3 -c" in command
            return json.dumps({url: said})

    found = relays.silent(Asked(), "worker-1", "worker-2")  # type: ignore[arg-type]
    assert found == ({url: said} if silent else {})


def listener(address: str, port: int, process: str) -> Listener:
    return Listener(protocol="tcp", address=address, port=port, process=process)


GOOD = (
    listener("127.0.0.1", 2381, "etcd"),
    listener("10.1.1.11", 2381, "systemd"),
    listener("10.1.1.11", 10259, "systemd-socket-"),
    listener("*", 10250, "kubelet"),
)


def test_programs_on_loopback_and_relays_in_the_lan_are_right(lab: Inventory) -> None:
    assert relays.beyond(lab, "master-1", GOOD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        listener("*", 2381, "etcd"),
        listener("10.1.1.11", 10257, "kube-controller"),
        listener("0.0.0.0", 10249, "systemd"),
        listener("192.0.2.77", 10249, "socat"),
    ],
    ids=lambda item: item.process,
)
def test_what_listens_beyond_is_named(lab: Inventory, wrong: Listener) -> None:
    (told,) = relays.beyond(lab, "master-1", (*GOOD, wrong))
    assert told == f"{wrong.address}:{wrong.port} ({wrong.process})"
