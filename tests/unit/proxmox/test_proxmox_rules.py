"""The rules of the Proxmox VE provider without a Proxmox VE: owning, comparing, what the agent says."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any, cast

import pytest

from lab.errors import PreflightError
from lab.providers.proxmox.agent import lan_address, verdict
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.fleet import Fleet, FleetRow
from lab.providers.proxmox.mark import ProxmoxMark, read_mark, tags
from lab.providers.proxmox.plan import (
    MachineStep,
    Seen,
    configuration,
    differences,
    disk_gib,
    next_step,
    sentences,
)
from lab.providers.proxmox.retry import ProxmoxApiError
from lab.steps.machines import outline
from tests.world import inventory


def test_a_mark_belongs_to_one_number_and_leaves_people_s_words_alone() -> None:
    mark = ProxmoxMark("lab", "dev", "master-1", 101)
    text = mark.within("ask Eve before you touch it\nplumbline lab=dev name=master-1 id=99")
    assert text.splitlines() == ["plumbline lab=dev name=master-1 id=101", "ask Eve before you touch it"]
    assert read_mark(f"{text}\n", 101) == mark
    assert read_mark(text, 102) is None, "a copy made by hand"
    assert read_mark("plumbline%20lab%3Ddev%20name%3Dmaster-1%20id%3D101%0A", 101) == mark
    assert read_mark(None, 101) is None
    assert tags("b; a,c d") == {"a", "b", "c", "d"}


class Moving:
    """A cluster in which machine 101 goes from one node to the other while the lists are read."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = list(nodes)

    def get(self, path: str, **_: Any) -> Any:
        if path == "cluster/resources":
            there = self.nodes.pop(0)
            return [{"type": "qemu", "vmid": 101, "node": there, "name": "master-1"}] if there else []
        return {
            "access/permissions": {"/vms": {"VM.Audit": 1}},
            "nodes": [{"node": node, "status": "online"} for node in ("pve-1", "pve-2")],
        }.get(path, [])


def test_a_machine_that_moves_while_it_is_looked_for_is_not_gone() -> None:
    fleet = Fleet(cast("ProxmoxApi", Moving("pve-1", "pve-2")), "test", {})
    assert fleet.rows()[101].node == "pve-2"
    fleet = Fleet(cast("ProxmoxApi", Moving("pve-1", "")), "test", {})
    assert fleet.rows() == {}, "removed meanwhile"


MACHINE = outline(inventory(), "master-1")
ROW = FleetRow(101, "pve-1", "master-1", "running", "", frozenset({"plumbline"}), template=False)
WANTED = {
    "cores": 4,
    "memory": 8192,
    "net0": "virtio=02:AB:00:00:00:01,bridge=vmbr0",
    "tags": "plumbline;plumbline-test",
    "onboot": 1,
    "description": "plumbline lab=test name=master-1 id=101",
}
CONFIG = {
    **WANTED,
    "memory": "8192",
    "tags": "plumbline-test,plumbline",
    "net0": "bridge=vmbr0,virtio=02:ab:00:00:00:01",
    "ipconfig0": "ip=10.1.1.11/24",
    "scsi0": "local-lvm:vm-101-disk-0,discard=on,size=100G",
    "digest": "abc",
}


def seen(status: str = "running", lock: str = "", protected: bool | None = None, **config: Any) -> Seen:
    row = FleetRow(101, "pve-1", "master-1", status, lock, frozenset(), template=False)
    return Seen(row, {key: item for key, item in {**CONFIG, **config}.items() if item is not None}, protected)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (None, MachineStep.CLONE),
        (seen(lock="clone"), MachineStep.WAIT),
        (seen(scsi0=None, lock="clone"), MachineStep.WAIT),
        (seen("stopped", scsi0=None), MachineStep.DISCARD),
        (seen("stopped", ipconfig0=None), MachineStep.CONFIGURE),
        (seen(cores=2), MachineStep.CONFIGURE),
        (seen(scsi0="a:b,size=2252M"), MachineStep.GROW),
        (replace(seen(), snippet=False), MachineStep.SNIPPET),
        (replace(seen("stopped"), snippet=False), MachineStep.SNIPPET),
        (replace(seen(), snippet=True), MachineStep.DONE),
        (seen(protected=False), MachineStep.PROTECT),
        (seen("stopped", protected=True), MachineStep.START),
        (seen("paused"), MachineStep.RESUME),
        (seen(), MachineStep.DONE),
    ],
)
def test_the_next_step_follows_from_what_is_there(found: Seen | None, step: MachineStep) -> None:
    assert next_step(MACHINE, WANTED, found) is step


def test_two_spellings_of_the_same_are_no_difference() -> None:
    assert differences(WANTED, CONFIG) == {}


def test_a_change_says_what_was_and_when_it_takes_effect() -> None:
    assert sentences(MACHINE, WANTED, seen(cores=2, onboot=0)) == (
        "cores: 2 -> 4; it takes effect when the machine is next switched off and on",
        "onboot: 0 -> 1",
    )
    assert sentences(MACHINE, WANTED, seen("stopped", memory=4096)) == ("memory: 4096 -> 8192",)
    assert sentences(MACHINE, WANTED, seen(scsi0="a:b,size=50G")) == (
        "disk: 50 GiB -> 100 GiB; the file system follows at the next boot",
    )


def test_a_disk_never_shrinks() -> None:
    with pytest.raises(PreflightError, match="has 200 GiB, and a disk never shrinks"):
        sentences(MACHINE, WANTED, seen(scsi0="a:b,size=200G"))


def test_one_call_configures_all_of_a_new_machine_and_the_differences_of_an_old_one() -> None:
    mark = ProxmoxMark("lab", "test", "master-1", 101)
    new = configuration(WANTED, seen(ipconfig0=None), mark)
    assert set(new) == {*WANTED, "digest"}
    assert configuration(WANTED, seen(cores=2), mark) == {"cores": 4, "digest": "abc"}


@pytest.mark.parametrize(
    ("disk", "gib"), [("s:v,size=32G", 32), ("s:v,size=2252M", 2252 / 1024), ("s:v,size=1T", 1024), ("", 0)]
)
def test_the_size_of_a_disk(disk: str, gib: float) -> None:
    assert disk_gib({"scsi0": disk}) == gib


LAN = IPv4Network("10.1.1.0/24")
MAC = "02:00:00:00:00:31"


@pytest.mark.parametrize(
    ("interfaces", "address"),
    [
        ([{"name": "lo", "hardware-address": "00:00:00:00:00:00"}], None),
        ([{"name": "ens18", "hardware-address": MAC}], None),
        ([{"name": "cni0", "hardware-address": "0a:1", "ip-addresses": [{"ip-address": "10.1.1.3"}]}], None),
        ([{"hardware-address": MAC, "ip-addresses": [{"ip-address": "fe80::1%ens18"}]}], None),
        ([{"hardware-address": MAC, "ip-addresses": [{"ip-address": "10.244.3.1"}]}], None),
        ([{"hardware-address": MAC.upper(), "ip-addresses": [{"ip-address": "10.1.1.31"}]}], "10.1.1.31"),
    ],
)
def test_c23_only_the_card_with_our_mac_and_only_the_lan_count(
    interfaces: list[dict[str, Any]], address: str | None
) -> None:
    found = lan_address(interfaces, MAC, LAN)
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, r"agent: QEMU guest agent is not running \(is qemu-guest-agent in the image\?\)"),
        ([], "the card {mac} has no address of 10.1.1.0/24 yet"),
        (["10.1.1.199"], r"the machine has 10.1.1.199; the inventory says 10.1.1.11 \(is a DHCP server"),
        (["fe80::1", "10.1.1.11"], "agent: the machine has 10.1.1.11, as the inventory says"),
    ],
)
def test_c23_what_the_agent_says_is_one_sentence(told: list[str] | None, words: str) -> None:
    class Agent:
        def get(self, path: str) -> Any:
            assert path == "nodes/pve-1/qemu/101/agent/network-get-interfaces"
            if told is None:
                raise ProxmoxApiError("GET x", 500, "QEMU guest agent is not running", {})
            bridge = {
                "name": "cni0",
                "hardware-address": "0a:1",
                "ip-addresses": [{"ip-address": "10.1.1.9"}],
            }
            card = {"hardware-address": MACHINE.mac, "ip-addresses": [{"ip-address": item} for item in told]}
            return {"result": [bridge, card]}

    assert re.search(words.replace("{mac}", MACHINE.mac), verdict(cast("ProxmoxApi", Agent()), ROW, MACHINE))
