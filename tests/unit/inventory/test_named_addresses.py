"""C41: whatever address an inventory names is nobody else's, wherever in the file it stands."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab.errors import InputError
from lab.inventory.loading import parse
from lab.inventory.problems import Loc
from lab.inventory.ranges import AddressRange
from lab.inventory.rules.ranges import free_range
from tests.unit.inventory.table import told
from tests.world import INVENTORY, inventory

POOL, DHCP, HOST, PODS = "10.1.1.120", "10.1.1.210", "10.1.1.31", "10.244.3.3"
FREE = "10.1.1.77"
PROXMOX = {"host": "pve-1", "token": "ops@pam!build"}


@dataclass(frozen=True)
class Kind:
    """A place that holds an address, how the address is written there, and whether a clash is refused."""

    path: Loc
    written: str = "{}"
    refused: bool = True


KINDS = {
    "name server": Kind(("network", "nameservers", 0)),
    "time server": Kind(("network", "time_servers", 0)),
    "mirror": Kind(("containerd", "mirrors", "docker.io", 0), "http://{}:5000", refused=False),
    "hypervisor's API": Kind(("proxmox", "host")),
    "hypervisor's snippets": Kind(("proxmox", "snippets", "folder"), "root@{}:/var/lib/vz/snippets"),
    "image": Kind(("proxmox", "images", "debian-12", "url"), "http://{}/debian.qcow2"),
    "switch": Kind(("hosts", "pi", "power", "off"), "ipmitool -H {} power off", refused=False),
}


def written(kind: Kind, address: str) -> str:
    """An inventory that names the address at the kind's place, and no other that is not a host's."""
    data: Any = YAML(typ="safe", pure=True).load(INVENTORY)
    data["network"]["dhcp"] = "10.1.1.200-10.1.1.220"
    data["hosts"]["pi"] = {"role": "worker", "address": "10.1.1.60", "provider": "static"}
    if kind.path[0] == "proxmox":
        size = {"cpus": 32, "memory_gib": 128, "disk_gib": 1862}
        data |= {"provider": "proxmox", "proxmox": PROXMOX | {"images": {}}, "hypervisors": {"pve-1": size}}
        for name in data["hosts"].keys() - {"pi"}:
            data["hosts"][name]["hypervisor"] = "pve-1"
        data["proxmox"]["images"]["debian-12"] = {
            "url": "https://images.example.com/debian.qcow2",
            "checksum": f"sha256:{'0' * 64}",
        }
    here = data
    for part, after in zip(kind.path, kind.path[1:], strict=False):
        here = here.setdefault(part, [""] if after == 0 else {})
    here[kind.path[-1]] = kind.written.format(address)
    return dumped(data)


def dumped(data: Any) -> str:
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(data, stream)
    return stream.getvalue()


def said(kind: Kind, address: str) -> list[str]:
    """What is told of it, without the lines' beginnings; it is refused or warned of as the kind has it."""
    try:
        found = parse(written(kind, address), "x.yaml")
    except InputError as error:
        assert kind.refused, error.message
        return [line.rest for line in told(error.message)]
    assert not (kind.refused and found.warnings), found.warnings
    return [line.partition(": ")[2].partition(": ")[2] for line in found.warnings]


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
@pytest.mark.parametrize(
    ("address", "owner"),
    [(POOL, "lies in pool default: "), (DHCP, "lies in the DHCP range, "), (PODS, "lies in the pod network")],
    ids=["pool", "dhcp", "pods"],
)
def test_c41_a_named_address_is_not_handed_out(kind: Kind, address: str, owner: str) -> None:
    [line] = said(kind, address)
    assert owner in line
    assert ", line " in line or "(default 10.244.0.0/16)" in line, "both places are told"


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_c41_a_named_address_is_no_hosts(kind: Kind) -> None:
    lines = said(kind, HOST)
    if kind.path[0] == "hosts":
        assert lines == [], "a machine's power may be switched by way of a machine"
        return
    [line] = lines
    assert "is worker-1's" in line
    assert "[hosts.worker-1.address" in line


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_c41_an_address_beside_all_of_them_is_taken(kind: Kind) -> None:
    assert said(kind, FREE) == []


def test_c41_all_hits_are_told_at_once() -> None:
    text = INVENTORY.replace(
        "gateway: 10.1.1.1}",
        'gateway: 10.1.1.1, nameservers: [10.1.1.120, 10.1.1.121], time_servers: ["10.1.1.122"]}',
    )
    with pytest.raises(InputError) as refused:
        inventory(text)
    assert [line.rest.partition(": ")[0] for line in told(refused.value.message)] == [
        "network.nameservers[0]",
        "network.nameservers[1]",
        "network.time_servers[0]",
    ]


def test_an_addons_own_address_is_meant_to_stand_in_its_range() -> None:
    assert inventory().warnings == ()


def test_a_range_that_is_proposed_leaves_named_addresses_out() -> None:
    found = inventory(INVENTORY.replace("gateway: 10.1.1.1}", "gateway: 10.1.1.1, nameservers: [10.1.1.4]}"))
    assert free_range(found, 6) == AddressRange.parse("10.1.1.5-10.1.1.10")


@pytest.mark.parametrize("text", ["v10.1.1.120", "10.1.1.120.example.com", "10.1.1.1200", "10.1.1"])
def test_what_only_looks_like_an_address_is_none(text: str) -> None:
    assert said(Kind(("hosts", "pi", "power", "on")), f"echo {text}") == []
