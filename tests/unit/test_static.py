"""Machines that exist: judged by recorded facts, taken by a mark, switched only with a yes, let go again."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.errors import DeadlineError, FailedError, PreflightError
from lab.hosts.converge import EVIDENCE
from lab.hosts.facts import HostSections
from lab.hosts.release import FOLDERS, STAYING, script
from lab.inventory.loading import load, parse
from lab.inventory.models import Host, Inventory
from lab.inventory.sections import HostPower
from lab.machines import Power, State
from lab.providers.mixed import MixedProvider
from lab.providers.static import power as static_power
from lab.providers.static import provider as static
from lab.providers.static.facts import MARK, Existing, judge, look
from lab.providers.static.power import magic_packet, switch
from lab.providers.static.provider import StaticProvider
from lab.render.roles import host_roles
from tests.fakes import Call, FakeProvider, FakeSsh
from tests.host_facts import PI, recorded
from tests.world import INVENTORY, inventory

KEY = "ssh-ed25519 AAAA plumbline"
USED: dict[str, Any] = {"files": dict.fromkeys(EVIDENCE), "texts": {MARK: None}}
"""What the two sections say that depend on the question: nobody has used the machine."""


def existing(offset: float = 0.0, **changes: Any) -> Existing:
    """A good Pi whose facts differ in this."""
    return Existing(HostSections("pi-1", recorded(**USED | changes)), offset)


@pytest.fixture
def pi() -> Host:
    return load("production").hosts["pi-1"]


def said(pi: Host, offset: float = 0.0, **changes: Any) -> list[str]:
    return [str(item) for item in judge("pi-1", pi, "production", existing(offset, **changes))]


def test_a_good_machine_is_taken_also_a_second_time(pi: Host) -> None:
    assert said(pi) == []
    used = {path: {"sha256": "", "mode": "0600", "owner": "root:root"} for path in EVIDENCE}
    assert said(pi, texts={MARK: "production"}, files=used) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"system__os": "debian-12"}, "operating system: debian-12; wanted: ubuntu-24.04"),
        ({"system__machine": "armv7l"}, "architecture: armv7l; wanted: aarch64"),
        ({"system__hostname": "ubuntu"}, "fix: hostnamectl set-hostname pi-1"),
        ({"system__kernel": "4.9.0-raspi"}, "kernel: 4.9.0-raspi; wanted: 4.19 or newer"),
        ({"system__page_size": 16384}, "page size: 16384; wanted: 4096"),
        ({"system__swap": ["/swapfile file 2097148 0 -2"]}, "swap: /swapfile; wanted: none"),
        ({"system__cgroup": "tmpfs"}, "cgroups: tmpfs; wanted: version 2"),
        ({"system__controllers": ["cpu"]}, "fix: add cgroup_enable=memory to /boot/firmware/cmdline.txt"),
        ({"system__cpus": 2}, "CPUs: 2; wanted: 4"),
        ({"system__memory_kib": 3_900_000}, "memory: 3.7 GiB; wanted: 8 GiB"),
        (
            {"disks__filesystems": {"/": {"total": 3 * 2**30, "used": 2**31, "free": 2**30}}},
            "disk: 3 GiB; wanted: 64 GiB",
        ),
        ({"texts": {MARK: "attic"}}, "belongs to lab attic"),
        (
            {"files": {EVIDENCE[1]: {"sha256": "ab", "mode": "0600", "owner": "root:root"}}},
            f"use: {EVIDENCE[1]}: a part of something already",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_reason_is_told_with_its_cure(pi: Host, changes: dict[str, Any], expected: str) -> None:
    assert [line for line in said(pi, **changes) if expected in line]


def test_all_reasons_are_told_at_once(pi: Host) -> None:
    found = said(pi, 3600, system__os="debian-12", system__swap=["/dev/sda2"], system__page_size=16384)
    assert len(found) == 4
    assert "clock: +3600 s against ours" in "\n".join(found)


def test_a_container_has_its_hosts_swap_and_cgroups(pi: Host) -> None:
    status = "CapBnd:\t00000000a80425fb\n"
    changes = {"container": "lxc", "status": status, "swap": ["/swap"], "cgroup": "tmpfs"}
    found = existing(system=PI["system"] | changes)
    assert judge("pi-1", pi, "production", found) == []
    traits = found.traits
    assert traits.shares_kernel
    assert traits.oom_score_restricted
    assert not traits.layered


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("not reachable by SSH: plumbline@10.1.1.60: Permission denied (publickey).", KEY),
        ("not reachable by SSH: Host key verification failed.", "host_key"),
        ("not reachable by SSH: connect to host 10.1.1.60 port 22: No route to host", "switch it on"),
        ("`python3 -c` ended with exit code 1: sudo: a password is required", "sudo without a password"),
    ],
)
def test_a_machine_that_cannot_be_asked_says_what_to_do(pi: Host, error: str, cure: str) -> None:
    ssh = FakeSsh()
    ssh.on("pi-1", "python3 -c", FailedError(f"pi-1: {error}"))
    [problem] = judge("pi-1", pi, "production", look(ssh, "pi-1", EVIDENCE, KEY))
    assert cure in problem.fix
    assert error in problem.seen


def test_the_facts_program_can_answer_what_is_asked_of_a_machine() -> None:
    """The program itself, run here with the question that a machine gets."""
    ssh = FakeSsh()

    def here(call: Call) -> str:
        argv = shlex.split(call.command)
        return subprocess.run(argv, input=call.stdin, capture_output=True, text=True, check=True).stdout

    ssh.on("pi-1", "python3 -c", here)
    found = look(ssh, "pi-1", EVIDENCE, KEY)
    assert found.reason == ""
    assert found.facts is not None
    assert set(found.facts.files) == set(EVIDENCE)


def test_a_part_that_a_machine_cannot_look_at_is_told_and_is_no_sign_of_use(pi: Host) -> None:
    ssh = FakeSsh()
    broken = json.dumps(PI | USED | {"files": {"error": "PermissionError: /var/lib/etcd"}})
    ssh.on("pi-1", "python3 -c", broken)
    found = look(ssh, "pi-1", EVIDENCE, KEY)
    assert not found.silent, "it is on: nobody has to switch it on"
    [problem] = judge("pi-1", pi, "production", found)
    assert problem.seen == "files: PermissionError: /var/lib/etcd"


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


def host(power: HostPower, mac: str | None = None) -> Host:
    return load("production").hosts["pi-1"].model_copy(update={"power": power, "mac": mac})


LAN = inventory().network.lan


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(static_power, "run", lambda argv, **_: found.append(argv))
    monkeypatch.setattr(static_power, "wake_up", lambda *address: found.append(address))
    return found


def test_power_is_switched_as_the_inventory_says_after_a_yes(sent: list[Any]) -> None:
    questions: list[str] = []

    def yes(question: str) -> bool:
        questions.append(question)
        return True

    machine = host(HostPower(off="poe --port '3 4' off", wake_on_lan=True), "02:00:00:00:00:07")
    switch("pi-1", machine, LAN, Power.RESET, yes)
    assert sent == [["poe", "--port", "3 4", "off"], ("02:00:00:00:00:07", "10.1.1.255")]
    assert questions[0] == "pi-1: power off: run `poe --port '3 4' off`?"


def test_nothing_is_switched_without_a_yes_or_a_way(sent: list[Any]) -> None:
    with pytest.raises(PreflightError, match="not without a person's yes"):
        switch("pi-1", host(HostPower(off="poe off")), LAN, Power.OFF, lambda _: False)
    for action in (Power.ON, Power.PAUSE):
        with pytest.raises(PreflightError, match="the inventory offers no way"):
            switch("pi-1", host(HostPower(off="poe off")), LAN, action, lambda _: True)
    assert sent == []


def test_a_question_waits_for_the_answer_to_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = threading.Barrier(2)

    def answer(_question: str) -> str:
        try:
            meeting.wait(0.2)
        except threading.BrokenBarrierError:
            meeting.reset()
            return "y"
        return "asked beside another question"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(static_power.on_terminal, ["pi-1?", "pi-2?"])) == [True, True]


def test_a_magic_packet_is_what_cards_listen_for() -> None:
    packet = magic_packet("02:00:00:00:00:07")
    assert packet == b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 7]) * 16


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
