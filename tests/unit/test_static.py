"""Machines that exist: taken by a mark, let go again with what their owner keeps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from lab.errors import DeadlineError, FailedError, PreflightError
from lab.hosts.converge import EVIDENCE
from lab.hosts.release import FOLDERS, STAYING, script
from lab.inventory.loading import load, parse
from lab.inventory.models import Inventory
from lab.inventory.sections import HostPower
from lab.machines import Power, State
from lab.providers.mixed import MixedProvider
from lab.providers.static import power as static_power
from lab.providers.static import provider as static
from lab.providers.static.facts import MARK
from lab.providers.static.provider import StaticProvider
from lab.render.roles import host_roles
from tests.fakes import Call, FakeProvider, FakeSsh
from tests.host_facts import PI
from tests.unit.static_machine import KEY, USED
from tests.world import INVENTORY, inventory


class Shelf:
    """Three machines that exist, each with a mark and a power state of its own."""

    def __init__(self) -> None:
        text = "lab: shelf\nprovider: static\nnetwork: {lan: 10.1.1.0/24, gateway: 10.1.1.1}\n"
        text += "kubernetes: {single_master: true}\n"
        text += "metallb: {pools: [{name: default, addresses: [10.1.1.100-10.1.1.110]}]}\nhosts:\n"
        text += "  lb: {role: load-balancer, address: 10.1.1.2, cpus: 4, memory_gib: 4, disk_gib: 20}\n"
        text += "  one: {role: control-plane, address: 10.1.1.3, cpus: 4, memory_gib: 4, disk_gib: 20}\n"
        text += "  two: {role: worker, address: 10.1.1.4, cpus: 4, memory_gib: 4, disk_gib: 20}\n"
        self.inventory: Inventory = parse(text, "shelf.yaml")
        self.marks = dict.fromkeys(self.inventory.hosts, "")
        self.off: set[str] = set()
        self.released: list[str] = []
        self.ssh = FakeSsh()
        self.ssh.on("", "python3 -c", self._facts)
        self.ssh.on("", f"cat {MARK}", lambda call: self._unless_off(call, f"{self.marks[call.host]}\n"))
        self.ssh.on("", f"> {MARK}", lambda call: self._mark(call, self.inventory.lab))
        self.ssh.on("", f"rm -f {MARK}", lambda call: self._mark(call, ""))

    def provider(
        self, enter: Callable[[], None] = lambda: None, ask: Callable[[str], bool] = lambda _: False
    ) -> StaticProvider:
        return StaticProvider(
            "shelf",
            self.inventory.hosts,
            self.inventory.network.lan,
            connect=lambda: self.ssh,
            public_key=lambda: KEY,
            release=lambda _, name: self.released.append(name),
            evidence=EVIDENCE,
            enter=enter,
            ask=ask,
        )

    def _unless_off(self, call: Call, answer: str) -> str | Exception:
        return FailedError(f"{call.host}: not reachable by SSH") if call.host in self.off else answer

    def _facts(self, call: Call) -> str | Exception:
        assert json.loads(call.stdin)["files"] == list(EVIDENCE)
        system = PI["system"] | {
            "hostname": call.host,
            "machine": "x86_64",
            "os": "debian-12",
            "clock": time.time(),
        }
        texts = {MARK: self.marks[call.host] or None}
        return self._unless_off(call, json.dumps(PI | USED | {"system": system, "texts": texts}))

    def _mark(self, call: Call, lab: str) -> str:
        self.marks[call.host] = lab
        return ""


def test_machines_are_taken_by_a_mark_and_let_go_by_its_removal() -> None:
    shelf = Shelf()
    provider = shelf.provider()
    assert provider.preflight(()) == []
    assert provider.machines() == {}
    assert provider.prepare()
    assert set(shelf.marks.values()) == {"shelf"}
    assert provider.machines() == dict.fromkeys(("lb", "one", "two"), State.RUNNING)
    again = shelf.provider()
    assert not again.prepare()
    assert again.clean()
    assert not again.leftovers()
    assert sorted(shelf.released) == ["lb", "one", "two"]
    assert not shelf.provider().clean()
    assert sorted(shelf.released) == ["lb", "one", "two"]


def test_one_bad_machine_keeps_all_from_being_taken() -> None:
    shelf = Shelf()
    shelf.off = {"two"}
    with pytest.raises(PreflightError, match="two: two: not reachable by SSH"):
        shelf.provider().prepare()
    assert set(shelf.marks.values()) == {""}


def switched(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *, boots: bool = True) -> None:
    """Machine two is off and has an outlet; the outlet's command is all it needs, if it boots."""
    outlet = {"power": HostPower(on="outlet 2 on")}
    two = {"two": shelf.inventory.hosts["two"].model_copy(update=outlet)}
    shelf.inventory = shelf.inventory.model_copy(update={"hosts": {**shelf.inventory.hosts, **two}})
    shelf.off = {"two"}
    monkeypatch.setattr(static_power, "run", lambda *_, **__: shelf.off.clear() if boots else None)
    monkeypatch.setattr(static, "BOOT_SECONDS", 0.1)


def test_a_build_switches_on_what_the_inventory_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, asked = Shelf(), []
    switched(shelf, monkeypatch)
    provider = shelf.provider(ask=lambda question: not asked.append(question))  # type: ignore[func-returns-value]
    assert provider.preflight(()) == [], "looking changes nothing, and asks nothing"
    assert asked == []
    assert provider.prepare()
    assert asked == ["two: power on: run `outlet 2 on`?"]
    assert set(shelf.marks.values()) == {"shelf"}


def test_a_machine_that_nobody_wants_on_keeps_all_from_being_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    switched(shelf, monkeypatch)
    with pytest.raises(PreflightError, match="two: power on: not without a person's yes"):
        shelf.provider().prepare()
    assert set(shelf.marks.values()) == {""}


def test_a_machine_that_stays_silent_is_told_with_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    switched(shelf, monkeypatch, boots=False)
    with pytest.raises(DeadlineError, match=r"SSH of two.*not reachable by SSH"):
        shelf.provider(ask=lambda _: True).prepare()


def test_a_machine_of_another_lab_is_foreign_and_left_alone() -> None:
    shelf = Shelf()
    shelf.marks["one"] = "attic"
    provider = shelf.provider()
    assert provider.state("one") is State.FOREIGN
    assert not provider.destroy("one")
    assert shelf.released == []


def test_a_machine_that_does_not_answer_is_left_behind_and_said() -> None:
    shelf = Shelf()
    shelf.provider().prepare()
    shelf.off = {"two"}
    provider = shelf.provider()
    assert provider.state("two") is State.OFF
    assert provider.clean()
    assert dict(provider.leftovers().items) == {"machine that could not be released": ("two",)}
    with pytest.raises(FailedError, match="two: does not answer") as refused:
        provider.destroy("two")
    assert "--host two" in refused.value.next_step
    assert provider.machines() == {}


def test_a_machine_that_is_not_in_the_file_is_nobody_we_know() -> None:
    provider = Shelf().provider()
    assert provider.state("sold") is State.ABSENT
    assert not provider.destroy("sold")


def test_without_a_network_nothing_is_known_and_nothing_is_wrong() -> None:
    def nowhere() -> None:
        raise FailedError("the lab has no network yet")

    provider = Shelf().provider(nowhere)
    assert provider.preflight(()) == []
    assert provider.state("one") is State.OFF
    assert not provider.clean()
    assert not provider.leftovers()


def test_a_mixed_lab_sends_each_call_to_the_hosts_own_provider() -> None:
    made, existing = FakeProvider(), FakeProvider()
    existing.states["iron"] = made.states["vm"] = State.RUNNING
    mixed = MixedProvider((made, existing), {"vm": made, "iron": existing})
    mixed.power("iron", Power.OFF)
    assert (existing.state("iron"), made.state("vm")) == (State.OFF, State.RUNNING)
    assert mixed.machines() == {"iron": State.OFF, "vm": State.RUNNING}
    made.states["left"] = State.RUNNING
    assert (mixed.state("left"), mixed.state("unknown")) == (State.RUNNING, State.ABSENT)
    assert mixed.destroy("left")
    assert mixed.prepare()
    assert made.prepared
    assert existing.prepared
    assert set(mixed.leftovers().items["machine"]) == {"vm", "iron"}
    assert mixed.clean()
    assert mixed.machines() == {}


def test_what_is_let_go_keeps_names_ssh_and_firewall() -> None:
    lab = load("production")
    for name in ("haproxy", "master-1", "pi-1"):
        text = script(lab, name)
        kept = {item.path for role in host_roles(lab, name) if role.name in STAYING for item in role.files}
        assert kept
        assert not [path for path in kept if f" {path}" in text]
        for role in host_roles(lab, name):
            if role.name in STAYING:
                assert not [unit.name for unit in role.units if unit.name in text]
    assert "rm -f" in script(lab, "pi-1")
    assert "/usr/local/bin/kubelet" in script(lab, "pi-1")
    assert "haproxy.service" in script(lab, "haproxy")
    assert all(folder.count("/") >= 2 for folder in FOLDERS)


def test_what_an_add_on_left_on_a_node_goes_with_it_whatever_the_inventory_calls_it() -> None:
    lab = inventory(INVENTORY + "flannel: {vni: 7}\n")
    text = script(lab, "worker-1")
    assert "ip link delete flannel.7" in text
    assert "flannel.1" not in text
    assert "/run/flannel" in text.partition("do test ! -d $folder")[0]
    assert "/opt/cni/bin/flannel" in text
    assert "grep -Ev 'KUBE-|FLANNEL'" in text
