"""Two looks at all machines: what moves by itself is no difference, every other fact is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.checks import whole_look
from lab.checks.cluster import Cluster
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outcomes import CouldNotTell
from lab.checks.survey import Survey
from lab.checks.unlike_before import MOVING, differences, facts
from lab.checks.whole_look import of_cluster, of_object, plain, sysctls
from lab.hosts.converge import HostFacts
from lab.hosts.facts import Link
from lab.hosts.survey import HostSurvey
from lab.inventory.models import HostRole
from lab.objects import Object

MACHINE: dict[str, Any] = {
    "system": {"kernel": "6.1", "swap": [], "clock": 1.5, "status": "Pid: 7"},
    "links": [
        {"name": "eth0", "mtu": 1500, "addresses": ["10.1.1.31/24"]},
        {"name": "veth1", "mtu": 1450, "addresses": []},
    ],
    "units": {"containerd.service": {"active": "active", "active_seconds": 9.5, "restarts": 0}},
    "sockets": [
        {"protocol": "tcp", "address": "0.0.0.0", "port": 22, "process": "sshd"},
        {"protocol": "tcp", "address": "127.0.0.1", "port": 40123, "process": "containerd"},
    ],
}


def looked(**sections: Any) -> dict[str, dict[str, Any]]:
    return {"worker-1": dict(facts(MACHINE | sections, "facts"))}


def test_a_machine_that_is_as_before_is_accepted() -> None:
    assert differences(looked(), looked()) == []


def test_a_hardware_address_by_chance_is_no_difference_and_a_cards_own_is_one() -> None:
    """As a cold start gives them to the pods' bridge, with the link-local address that follows from it."""

    def links(card: str, bridge: str) -> list[dict[str, Any]]:
        own = {"name": "bridge0", "mac": bridge, "addresses": ["10.244.1.1/24", f"fe80::{bridge[:2]}/64"]}
        return [{"name": "eth0", "mac": card, "addresses": ["10.1.1.31/24"]}, own]

    before = looked(links=links("52:00:00:00:00:01", "ce:d8:eb:24:fa:e3"))
    assert (
        differences(before, looked(links=links("52:00:00:00:00:01", "92:1a:88:49:88:d2")), ["bridge0"]) == []
    )
    other = differences(before, looked(links=links("52:00:00:00:00:02", "92:1a:88:49:88:d2")), ["bridge0"])
    assert other == ["worker-1: facts.links[name=eth0].mac: 52:00:00:00:00:01 -> 52:00:00:00:00:02"]


@pytest.mark.parametrize(
    "later",
    [
        {"system": MACHINE["system"] | {"clock": 99.5, "status": "Pid: 8"}},
        {"links": [MACHINE["links"][0], {"name": "veth2", "mtu": 1450, "addresses": []}]},
        {"links": list(reversed(MACHINE["links"]))},
        {"units": {"containerd.service": {"active": "active", "active_seconds": 1.0, "restarts": 1}}},
        {"sockets": [MACHINE["sockets"][0], MACHINE["sockets"][1] | {"port": 50000}]},
    ],
)
def test_what_moves_by_itself_is_no_difference(later: dict[str, Any]) -> None:
    assert differences(looked(), looked(**later)) == []


@pytest.mark.parametrize(
    ("later", "line"),
    [
        (
            {"system": MACHINE["system"] | {"kernel": "6.2"}},
            "worker-1: facts.system.kernel: 6.1 -> 6.2",
        ),
        (
            {"system": MACHINE["system"] | {"swap": ["/swap"]}},
            "worker-1: facts.system.swap[/swap]: not there -> there",
        ),
        (
            {"links": [MACHINE["links"][0] | {"mtu": 9000}]},
            "worker-1: facts.links[name=eth0].mtu: 1500 -> 9000",
        ),
        (
            {"links": [MACHINE["links"][0] | {"addresses": []}]},
            "worker-1: facts.links[name=eth0].addresses[10.1.1.31/24]: there -> not there",
        ),
        (
            {"sockets": MACHINE["sockets"][1:]},
            "worker-1: facts.sockets[tcp 0.0.0.0 22 sshd]: there -> not there",
        ),
        ({"units": {}}, "worker-1: facts.units.containerd.service.active: active -> not there"),
    ],
)
def test_every_other_fact_that_changed_is_named(later: dict[str, Any], line: str) -> None:
    assert line in differences(looked(), looked(**later))


def test_a_machine_that_is_gone_is_named_with_all_its_facts() -> None:
    assert "worker-1: facts.system.kernel: 6.1 -> not there" in differences(looked(), {})


def test_sysctls_that_nobody_declared_are_facts_too() -> None:
    before = "net.ipv4.tcp_fin_timeout = 31\nkernel.random.uuid = a\nnet.ipv4.conf.veth1.forwarding = 1\nx\n"
    after = "net.ipv4.tcp_fin_timeout = 60\nkernel.random.uuid = b\nnet.ipv4.ping_group_range = 1\t0\n"
    told = differences({"worker-1": dict(sysctls(before))}, {"worker-1": dict(sysctls(after))})
    assert told == [
        "worker-1: sysctl net.ipv4.tcp_fin_timeout: 31 -> 60",
        "worker-1: sysctl net.ipv4.ping_group_range: not there -> 1 0",
    ]


def service(**changes: Any) -> Object:
    return {
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "toy", "uid": "1", "labels": {"app": "web"}},
        "spec": {"ports": [{"name": "http", "port": 80}]},
        "status": {"loadBalancer": {}},
    } | changes


def test_an_object_is_what_somebody_meant_it_to_be() -> None:
    before: dict[str, dict[str, Any]] = {"": dict(of_object(service(), "Service"))}
    moved = service(status={"loadBalancer": {"ingress": []}})
    moved["metadata"] = moved["metadata"] | {"uid": "2", "resourceVersion": "9"}
    assert differences(before, {"": dict(of_object(moved, "Service"))}) == []
    other = service(spec={"ports": [{"name": "http", "port": 81}]})
    assert differences(before, {"": dict(of_object(other, "Service"))}) == [
        "cluster: Service toy/web.spec.ports[name=http].port: 80 -> 81"
    ]
    assert "cluster: Service toy/web: there -> not there" in differences(before, {"": {}})


def test_objects_of_a_moment_are_left_out_by_name() -> None:
    event = {"metadata": {"name": "x", "namespace": "toy"}, "reason": "Killing"}
    assert differences({"": dict(of_object(event, "Event"))}, {"": {}}) == []
    assert all(why and patterns for why, patterns in MOVING.items())


class Kinds(Cluster):
    """An API with two versions of groups, and what may only be asked for by name."""

    def __init__(self, **paths: Object) -> None:
        ours: dict[str, Object] = {
            "/apis": {"groups": [{"name": "apps", "preferredVersion": {"groupVersion": "apps/v1"}}]},
            "/api/v1": {
                "resources": [
                    {"name": "services", "kind": "Service", "verbs": ["get", "list"]},
                    {"name": "services/status", "kind": "Service", "verbs": ["get"]},
                    {"name": "bindings", "kind": "Binding", "verbs": ["create"]},
                ]
            },
            "/apis/apps/v1": {"resources": []},
        }
        self.paths = ours | paths

    def get(self, path: str) -> Object | None:
        return self.paths.get(path)

    def items(self, path: str) -> list[Object]:
        assert path == "/api/v1/services"
        return [service()]


def driver_of(driver: Driver, cluster: Cluster) -> Driver:
    return Driver(driver.lab, driver.folder, driver.pins, stand_in=cluster)


def test_every_kind_that_can_be_listed_is_looked_at(driver: Driver) -> None:
    found = dict(of_cluster(driver_of(driver, Kinds())))
    assert found["Service toy/web.spec.ports[name=http].port"] == 80


def test_a_group_that_is_not_served_is_could_not_tell(driver: Driver) -> None:
    silent = Kinds()
    del silent.paths["/apis/apps/v1"]
    with pytest.raises(CouldNotTell, match="the API serves no /apis/apps/v1"):
        dict(of_cluster(driver_of(driver, silent)))


class Told:
    """A store of answers: the same for every machine, and nothing that is not asked."""

    def __init__(self, record: Callable[[str, dict[str, Any]], Any], answer: dict[str, Any]) -> None:
        self._record, self._answer = record, answer

    def fresh(self, host: str) -> Any:
        return self._record(host, self._answer)


def test_what_a_container_cannot_tell_is_not_asked(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = {"clock": {"error": "chronyc: 506 Cannot talk to daemon"}}
    monkeypatch.setattr(whole_look, "SECTIONS", {HostRole.WORKER: ("modules", "clock", "disks")})
    monkeypatch.setattr(HostSurvey, "names", ("sockets",))
    monkeypatch.setattr(
        whole_look, "running", lambda *_: HostFacts(files={}, sysctls={}, units={}, exists={})
    )
    driver.__dict__["facts"] = Told(Facts, {"modules": {"vxlan": True}} | blind)
    driver.__dict__["surveys"] = Told(Survey, {"sockets": []})
    monkeypatch.setattr(type(driver), "read", lambda *_: "net.ipv4.ip_forward = 1\n")
    found = dict(whole_look.of_machine(driver, "worker-1"))
    assert found["facts.modules.vxlan"] is True
    assert found["sysctl net.ipv4.ip_forward"] == "1"
    assert not [name for name in found if name.startswith(("facts.clock", "facts.disks"))]


def test_records_become_plain_mappings() -> None:
    link = Link(name="eth0", mtu=1500, mac="02", master="", flags=("UP",), addresses=())
    assert plain({"a": [link]})["a"][0]["name"] == "eth0"
