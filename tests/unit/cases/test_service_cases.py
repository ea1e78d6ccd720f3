"""Faults that people reported of load balancers and ingresses, by their numbers, against made-up answers."""

from __future__ import annotations

import itertools
import re
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

import pytest

from addons.metallb.client import pooled, used
from addons.traefik import client as traefik
from addons.traefik.client import Traefik
from lab.authority import Authority
from lab.checks import arp_sweep, outside, verbs
from lab.checks.arp_sweep import misplaced, sweep
from lab.checks.closed_loop import ClosedLoop, ClosedLoopRequest
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.checks.outside import Answer, LanInterface, arp_question, arp_reply, tcp
from lab.checks.verbs import Refused
from lab.inventory.addon_sections import domain
from lab.labs import Lab
from lab.objects import Object
from lab.render.bundle import pins
from tests.fakes import FakeClock, FakeProvider
from tests.world import inventory

ROOT = Path(__file__).parents[3]
PLACE = LanInterface("lan0", IPv4Address("10.1.1.2"), "02:00:00:00:00:02")
WORKER, STRANGER = "02:00:00:00:00:31", "5e:00:00:00:00:01"
MACHINES = {WORKER: "worker-1"}
SERVICE, FREE = IPv4Address("10.1.1.100"), IPv4Address("10.1.1.120")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(verbs, "time", made)
    return made


class Wire:
    """A LAN on which MAC addresses answer for addresses; some of the frames get lost."""

    def __init__(self, owners: dict[IPv4Address, tuple[str, ...]], lost: int = 0) -> None:
        self.owners, self.lost = owners, lost
        self.asked: list[IPv4Address] = []
        self.frames: list[bytes] = []

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, frame: bytes) -> None:
        address = IPv4Address(frame[38:42])
        self.asked.append(address)
        if len(self.asked) <= self.lost:
            return
        for mac in self.owners.get(address, ()):
            raw = bytes.fromhex(mac.replace(":", ""))
            reply = struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2)
            self.frames.append(frame[6:12] + raw + reply + raw + address.packed + frame[22:32])

    def recv(self, _: int) -> bytes:
        return self.frames.pop(0)


@pytest.fixture
def lan(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Wire]:
    """Puts a LAN in the place of the wire; a wait on it takes no time when it is silent."""

    def made(owners: dict[IPv4Address, tuple[str, ...]], lost: int = 0) -> Wire:
        wire, now = Wire(owners, lost), itertools.count()
        monkeypatch.setattr(arp_sweep, "arp_wire", lambda _: wire)
        monkeypatch.setattr(arp_sweep, "time", type("Time", (), {"monotonic": lambda: next(now) / 100}))
        ready = type("Select", (), {"select": lambda *_: ([wire] if wire.frames else [], [], [])})
        monkeypatch.setattr(arp_sweep, "select", ready)
        return wire

    return made


def test_c29_a_service_is_judged_by_its_port_and_not_by_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers TCP and no ping: it works. Another machine answers ping and no TCP: it does not."""
    asked: list[tuple[str, int]] = []

    def connect(where: tuple[str, int], _: float) -> Any:
        asked.append(where)
        if where[0] == str(FREE):
            raise ConnectionRefusedError(111, "Connection refused")
        return type("Open", (), {"close": lambda _: None})()

    monkeypatch.setattr(socket, "create_connection", connect)
    tcp(str(SERVICE), 80)
    with pytest.raises(Refused, match=r"10\.1\.1\.120:80: Connection refused"):
        tcp(str(FREE), 80)
    assert asked == [("10.1.1.100", 80), ("10.1.1.120", 80)]
    assert misplaced({FREE: (STRANGER,)}, {FREE}, MACHINES) == {
        "10.1.1.120": f"a service has it, and {STRANGER}, not one of our machines answers"
    }


def test_c29_nothing_that_judges_a_service_pings() -> None:
    pinging = re.compile(r"""["'`]ping\b""")
    files = [*ROOT.glob("addons/**/*.py"), *ROOT.glob("tests/acceptance/*_services_*.py")]
    files += [Path(module.__file__ or "") for module in (outside, arp_sweep)]
    assert len(files) > 10
    assert [path.name for path in files if pinging.search(path.read_text())] == []


def test_c53_every_address_of_every_pool_is_asked_for_at_once(lan: Callable[..., Wire]) -> None:
    addresses = pooled(inventory())
    assert len(addresses) == 51
    wire = lan({FREE: (STRANGER,), SERVICE: (WORKER,)})
    assert sweep(PLACE, set(addresses)) == {SERVICE: (WORKER,), FREE: (STRANGER,)}
    assert set(wire.asked) == set(addresses)
    assert arp_sweep.SECONDS < 5


def test_c53_an_answer_may_come_to_the_second_question(lan: Callable[..., Wire]) -> None:
    lan({FREE: (STRANGER,)}, lost=1)
    assert sweep(PLACE, {FREE}) == {FREE: (STRANGER,)}


def test_c53_frames_of_others_are_no_answers() -> None:
    question = arp_question(PLACE, FREE)
    assert arp_reply(question) == ("", None)
    assert arp_reply(b"\0" * 60) == ("", None)
    assert arp_reply(b"") == ("", None)


def test_c53_without_the_right_to_ask_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: LanInterface) -> Wire:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(arp_sweep, "arp_wire", refused)
    with pytest.raises(CouldNotTell, match="ARP on lan0: Operation not permitted"):
        sweep(PLACE, {FREE})


def test_c53_strangers_and_second_owners_are_named_and_nobody_else() -> None:
    gives = {"status": {"loadBalancer": {"ingress": [{"ip": str(SERVICE)}]}}}
    held = used([gives, {"status": {"loadBalancer": {}}}, {"status": {}}])
    assert held == {SERVICE}
    assert misplaced({SERVICE: (WORKER,)}, held, MACHINES) == {}
    assert misplaced({FREE: (STRANGER,)}, held, MACHINES) == {
        "10.1.1.120": f"no service has it, and {STRANGER}, not one of our machines answers"
    }
    assert misplaced({SERVICE: (WORKER, STRANGER)}, held, MACHINES) == {
        "10.1.1.100": f"a service has it, and worker-1 and {STRANGER}, not one of our machines answers"
    }


# --- an ingress that is Ready before it has its routes


@pytest.fixture
def ingress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traefik]:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    lab = Lab(inventory(), tmp_path, FakeProvider())
    Authority(lab.keys.folder / "ca", domain(lab.inventory)).issue()
    yield Traefik(Driver(lab, tmp_path, pins(lab.inventory), stand_in=cast("Any", Replicas())))


class Replicas:
    """Traefik's pods, and what each says to one question after the other; the last for ever."""

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def items(self, _: str) -> list[Object]:
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return [{"metadata": {"name": name}, "status": ready | {"podIP": name}} for name in self.said]

    def execute(self, _: str, asker: str, command: list[str]) -> Any:
        assert asker == "front-1"
        name = command[2].split("/")[2].partition(":")[0]
        self.asked.append(name)
        answers = self.said[name]
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        answer = {"body": '{"pod":"front-7","node":"worker-1"}', "status": 200}
        if said != "200":
            answer = {"body": "404 page not found", "status": 404, "error": f"status {said}"}
        return type("Said", (), {"lines": lambda _: [answer]})()


class Space:
    """A namespace with one pod that can ask."""

    name = "site"

    def pods(self, _: str) -> list[Object]:
        return [{"metadata": {"name": "front-1"}}]


def test_c31_a_route_is_there_when_every_replica_serves_it_again_and_again(ingress: Traefik) -> None:
    replicas = cast("Replicas", ingress.driver.cluster)
    replicas.said = {"traefik-a": ["404", "404", "200"], "traefik-b": ["200", "404", "200"]}
    ingress.await_route(cast("Any", Space()), "shop", "front")
    assert replicas.asked.count("traefik-a") == replicas.asked.count("traefik-b") == 2 + traefik.IN_A_ROW


def test_c31_a_replica_that_never_serves_a_route_is_named_with_its_answer(
    ingress: Traefik, clock: FakeClock
) -> None:
    replicas, begun = cast("Replicas", ingress.driver.cluster), clock.now
    replicas.said = {"traefik-a": ["404", "200"], "traefik-b": ["404"]}
    with pytest.raises(Mismatch) as late:
        ingress.await_route(cast("Any", Space()), "shop", "front")
    assert "traefik-b: status 404" in str(late.value)
    assert "traefik-a: front" in str(late.value)
    assert clock.now - begun < 31


def test_c31_404_of_the_ingress_counts_against_it_as_502_does(
    ingress: Traefik, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {404: "404 page not found", 502: "Bad Gateway"}
    visits = ClosedLoop()
    for status, body in [*told.items(), (404, told[404])]:
        monkeypatch.setattr(traefik, "http_get", lambda *_, s=status, b=body, **__: Answer(s, b, {}))
        with pytest.raises(Refused) as refused:
            ingress.backend("shop")
        visits.all.append(ClosedLoopRequest(1.0, 0.1, str(refused.value)))
    visits.all += [ClosedLoopRequest(2.0, 0.1, "")] * 3
    assert visits.success_percent == 50
    name = ingress.name("shop")
    assert visits.problems() == [
        f"2 x https://{name}/: status 404: 404 page not found (first after 1.0 s)",
        f"1 x https://{name}/: status 502: Bad Gateway (first after 1.0 s)",
    ]
