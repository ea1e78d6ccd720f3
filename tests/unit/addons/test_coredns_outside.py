"""Names of the outside in pods: a record for all names swallows none, and each question has its answer."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from addons.coredns.name_server import ADDRESS, answer, question
from addons.coredns.outside import (
    NONE,
    TIMES,
    below,
    known_outside,
    names_outside,
    searched,
    swallowed,
    unanswered,
    undecided,
)
from lab.checks.cluster import Cluster, Ran
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.workspace import Workspace
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.objects import Object
from lab.render.bundle import Pins, pins
from tests.fakes import FakeProvider, FakeSsh
from tests.world import INVENTORY, inventory

POD = {"metadata": {"name": "probe-1"}, "spec": {"nodeName": "worker-1"}}


def lab_of(network: str = "") -> Inventory:
    return inventory(INVENTORY.replace("gateway: 10.1.1.1}", f"gateway: 10.1.1.1{network}}}"))


def told(target: str, *answers: str, error: str = "", attempt: int = 1) -> Object:
    return {"target": target, "attempt": attempt, "answers": list(answers), "error": error}


def asks(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def test_a_name_that_nobody_gave_must_not_exist() -> None:
    good = told("nobody.lan.home.arpa.", error=f"lookup nobody.lan.home.arpa.: {NONE}")
    assert swallowed([good, good]) == []
    star = told("pool.ntp.org.lan.home.arpa.", "10.1.1.7")
    assert swallowed([good, star, star]) == ["pool.ntp.org.lan.home.arpa. is 10.1.1.7"]


def test_one_of_several_servers_that_swallows_names_is_named() -> None:
    name = "nobody.lan.home.arpa."
    assert swallowed([told(name, error=NONE), told(name, "10.1.1.7", attempt=2)]) == [f"{name} is 10.1.1.7"]


def test_a_domain_whose_server_fails_is_named() -> None:
    failing = told("nobody.lan.home.arpa.", error="server misbehaving")
    assert undecided([failing, failing]) == ["nobody.lan.home.arpa.: server misbehaving"]
    assert swallowed([failing]) == []
    assert undecided([told("nobody.lan.home.arpa.", error=NONE), told("x.", "10.1.1.7")]) == []


def test_every_question_for_a_name_that_is_there_has_an_answer() -> None:
    good = told("pool.ntp.org.", "192.0.2.10")
    assert unanswered([good]) == []
    lost = told("pool.ntp.org.", error="i/o timeout", attempt=2)
    assert unanswered([good, lost]) == ["pool.ntp.org., question 2 of 3: i/o timeout"]


def test_names_of_the_outside_are_those_of_the_lab() -> None:
    images = pins(lab_of()).images
    assert names_outside(lab_of(), images)[0] == "pool.ntp.org"
    own = lab_of(', time_servers: ["10.1.1.9", "ntp.lan.example"]')
    assert names_outside(own, images)[0] == "ntp.lan.example"
    alone = lab_of(', time_servers: ["10.1.1.9"]')
    assert names_outside(alone, images)[0] == "docker.io"
    assert names_outside(alone, {"pause": "localhost:5000/pause:3.10"}) == []


def test_each_searched_domain_is_asked_with_each_name() -> None:
    domains = searched(lab_of(", search_domains: [lan.home.arpa]"), "toy")
    assert domains == ["toy.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan.home.arpa"]
    assert below(domains[-1:], ["nobody", "pool.ntp.org"]) == [
        "nobody.lan.home.arpa.",
        "pool.ntp.org.lan.home.arpa.",
    ]


class Pods(Cluster):
    """Pods in which the probe is told by a name server what a test says."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers

    def execute(self, namespace: str, pod: str, command: list[str], **_: Any) -> Ran:
        assert (namespace, pod) == ("toy", "probe-1")
        assert command[-2:] == ["--server", "10.1.1.1"]
        said = self.answers[command[2].split(".")[0]]
        line = f'{{"target": "{command[2]}", "attempt": 1, {said}}}\n'
        return Ran(0, line * TIMES, "")


def space(folder: Path, **answers: str) -> Workspace:
    lab = Lab(lab_of(), folder, FakeProvider(), ssh=FakeSsh())
    return Workspace(Driver(lab, folder / "run", Pins({}), stand_in=Pods(**answers)), "toy")


def test_a_name_that_the_name_server_does_not_know_is_demanded_of_no_pod(tmp_path: Path) -> None:
    here = space(tmp_path, pool='"answers": ["192.0.2.10"]', registry=f'"error": "{NONE}"')
    assert known_outside(here.driver, here, POD, ["pool.ntp.org"]) == ["pool.ntp.org"]
    assert known_outside(here.driver, here, POD, ["registry.k8s.io"]) == []


def test_a_silent_name_server_is_could_not_tell(tmp_path: Path) -> None:
    here = space(tmp_path, pool='"error": "10.1.1.1:53: i/o timeout"')
    with pytest.raises(CouldNotTell, match=r"worker-1: 10\.1\.1\.1:53: i/o timeout"):
        known_outside(here.driver, here, POD, ["pool.ntp.org"])


def test_the_stand_in_answers_what_it_knows() -> None:
    asked = asks("Pool.NTP.org")
    assert question(asked)[:2] == ("pool.ntp.org", 1)
    said = answer(asked, ["pool.ntp.org"])
    number, flags, questions, answers, *_ = struct.unpack_from("!6H", said)
    assert (number, flags & 0x800F, questions, answers) == (4711, 0x8000, 1, 1)
    assert IPv4Address(said[-4:]) == ADDRESS
    assert said[12 : len(asked)] == asked[12:]


def test_the_stand_in_knows_no_other_name_and_no_other_address() -> None:
    _, flags, _, answers, *_ = struct.unpack_from("!6H", answer(asks("nobody.example"), ["pool.ntp.org"]))
    assert (flags & 0x800F, answers) == (0x8003, 0)
    _, flags, _, answers, *_ = struct.unpack_from("!6H", answer(asks("pool.ntp.org", 28), ["pool.ntp.org"]))
    assert (flags & 0x800F, answers) == (0x8000, 0)


@pytest.mark.parametrize("packet", [b"", b"\0" * 12, asks("pool.ntp.org")[:-6]])
def test_what_is_no_question_gets_no_answer(packet: bytes) -> None:
    with pytest.raises(ValueError, match="question"):
        answer(packet, [])
