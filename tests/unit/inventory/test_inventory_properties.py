"""Properties that hold for any inventory, and for anything that is none."""

from __future__ import annotations

import json
from copy import deepcopy
from io import StringIO
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lab.errors import InputError
from lab.inventory import document
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, dotted
from tests.unit.inventory.table import VALID, told

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAwYwy+ajz1A2ORY1KwWgNjG1XoJZ7gW36d0cLagHnRZ"
WORDS = (
    "a",
    "pi-5-a",
    "lab-w-01",
    "k8s-master-01",
    "x" * 63,
    "0a",
    "no",
    "null",
    "true",
    "on",
    "e1",
    "n-1e3",
)
VALUES = ("", "no", "12", "1.30", "0x1F", "010", "true", "a.b_c-D", "x" * 63, "null", "1e3", "5")
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    """The data of a valid inventory; one number decides it, so that drawing is cheap."""
    pick = Random(draw(st.integers(0, 2**32)))
    lan = IPv4Network((0xC0A80000 | pick.randrange(256) << 8, pick.randint(22, 24)), strict=False)
    masters, workers = pick.choice([1, 3, 5, 7]), pick.randint(1, 12)
    count = 1 + masters + workers
    names = list(dict.fromkeys([*pick.sample(WORDS, 6), *(f"m{n}" for n in range(count))]))[:count]
    roles = ["load-balancer"] + ["control-plane"] * masters + ["worker"] * workers
    hosts: dict[str, dict[str, Any]] = {
        name: {
            "role": role,
            "address": str(lan.network_address + last),
            "cpus": pick.randint(2, 64),
            "memory_gib": pick.randint(2, 64),
        }
        | (labels(pick) if role != "load-balancer" else {})
        for name, role, last in zip(names, roles, pick.sample(range(2, 120), count), strict=True)
    }
    start, size = pick.randint(130, 200), pick.randint(1, 50)
    pool = IPv4Address(int(lan.network_address) + start)
    provider = pick.choice(["lxc", "vagrant", "static", "proxmox"])
    data: dict[str, Any] = {
        "lab": pick.choice(WORDS),
        "provider": provider,
        "disposable": pick.random() < 0.5,
        "network": {"lan": str(lan), "gateway": str(lan.network_address + 1)},
        "kubernetes": {"single_master": masters == 1, "api_port": pick.choice([443, 6443, 8443])},
        "thresholds": {"leader_seconds": pick.uniform(0.001, 1000)},
        "metallb": {"pools": [{"name": pick.choice(WORDS), "addresses": [f"{pool}-{pool + size - 1}"]}]},
        "hosts": hosts,
    }
    if provider == "proxmox":
        on_hypervisors(pick, data)
    if provider == "static" or (provider == "proxmox" and pick.random() < 0.5):
        hosts[names[-1]] = {key: hosts[names[-1]][key] for key in ("role", "address")} | pi(pick)
    for section, values in pick.sample(sorted(MORE.items()), pick.randrange(len(MORE) + 1)):
        data[section] = data.get(section, {}) | deepcopy(pick.choice(values))
    return data


def labels(pick: Random) -> dict[str, Any]:
    """None, one or two labels of a node."""
    keys = ("rack", "example.com/site")[: pick.randrange(3)]
    return {"labels": {key: pick.choice(VALUES) for key in keys}}


MORE: dict[str, list[dict[str, Any]]] = {
    "containerd": [
        {"mirrors": {"docker.io": ["http://192.0.2.5:5000", "https://mirror.example.com/v2"]}},
        {"mirrors": {"registry.example.com:5000": ["https://mirror.example.com"], "quay.io": ["http://m"]}},
    ],
    "flannel": [{"port": 4789, "vni": 9999999}, {"vni": 7}],
    "kubernetes": [
        {"proxy_mode": "nftables", "pod_log_max_mib": 1},
        {"node_mask": 25, "max_pods": 100, "dns_domain": "lab-1.example.com"},
        {"pod_subnet": "172.20.0.0/15", "service_subnet": "172.24.0.0/16", "node_monitor_grace_seconds": 90},
    ],
    "load_balancer": [{"timeout_idle_seconds": 35, "timeout_tunnel_seconds": 36}, {"fall": 20, "rise": 20}],
    "network": [
        {"nameservers": ["192.0.2.53", "192.0.2.54"], "time_servers": ["192.0.2.1", "time.example.com"]}
    ],
    "ssh": [
        {"user": "_ops-1", "networks": ["198.51.100.0/24", "198.51.100.128/25"]},
        {"authorized_keys": [f"{KEY} a:b \"c\" 'd' #é"]},
    ],
}
"""What else an inventory may say, a choice for each section."""


def on_hypervisors(pick: Random, data: dict[str, Any]) -> None:
    """Machines of Proxmox VE, on one or two hypervisors that hold them."""
    names = ["pve-1", "pve-2"][: pick.randint(1, 2)]
    data["proxmox"] = {"host": pick.choice(["pve-1.example.com", "192.0.2.9"]), "token": "ops@pam!build"}
    data["hypervisors"] = {
        name: {"cpus": 1024, "memory_gib": 2048, "disk_gib": 9000, "bridge": pick.choice(["vmbr0", "br.7"])}
        for name in names
    }
    if pick.random() < 0.5:
        data["network"]["vlan"] = pick.randint(1, 4094)
    for number, machine in enumerate(data["hosts"].values()):
        machine["hypervisor"] = pick.choice(names)
        machine |= {"vmid": 100 + number} if pick.random() < 0.5 else {}


def pi(pick: Random) -> dict[str, Any]:
    """What a machine says that is a Raspberry Pi; it has no hypervisor."""
    return {
        "provider": "static",
        "hardware": "raspberry-pi-5",
        "arch": "arm64",
        "os": "ubuntu-24.04",
        "cpus": 4,
        "memory_gib": pick.choice([2, 4, 8, 16]),
    }


def as_yaml(data: object) -> str:
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(data, stream)
    return stream.getvalue()


def dumped(inventory: Inventory) -> Any:
    return inventory.model_dump(mode="json", exclude_defaults=True)


@FUZZ
@given(inventories())
def test_dump_and_load_give_the_same_model(data: dict[str, Any]) -> None:
    first = parse(json.dumps(data), "x.yaml")
    again = parse(as_yaml(dumped(first)), "x.yaml")
    assert again.model_dump() == first.model_dump()
    assert parse(json.dumps(dumped(again)), "x.yaml").model_dump() == first.model_dump()


def test_every_valid_fixture_survives_dump_and_load() -> None:
    for path in VALID:
        first = parse(path.read_text(encoding="utf-8-sig"), "x.yaml")
        assert parse(as_yaml(dumped(first)), "x.yaml").model_dump() == first.model_dump(), path.name


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A valid inventory with up to three places replaced, removed or added to."""
    data = draw(inventories())
    for _ in range(draw(st.integers(1, 3))):
        parent, key = draw(st.sampled_from(list(places(data))))
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        junk = draw(
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(-5, 10**10),
                st.floats(allow_nan=False, allow_infinity=False),
                st.text(max_size=12),
                st.sampled_from(["10.1.1.300", "10.244.0.0/16", "worker", "control-plane", "1.30", "lxc"]),
                st.lists(st.integers(), max_size=2),
                st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
            )
        )
        if what == "replace":
            parent[key] = junk
        elif what == "remove":
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = junk
        else:
            parent.append(junk)
    return as_yaml(data)


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every container of the data with every key or index in it."""
    pairs = (
        list(data.items())
        if isinstance(data, dict)
        else list(enumerate(data))
        if isinstance(data, list)
        else []
    )
    found = [(data, key) for key, _ in pairs]
    for _, value in pairs:
        found += places(value)
    return found


@FUZZ
@given(damaged())
def test_every_error_names_a_place_and_line_of_the_file(text: str) -> None:
    try:
        parse(text, "x.yaml")
    except InputError as error:
        marks = document.read(text).marks
        lines: dict[str, Loc] = {dotted(path): path for path in marks}
        for line in told(error.message):
            named = [path for path in lines if line.rest.startswith(f"{path}: ")]
            assert named, line
            assert line.line == marks[lines[max(named, key=len)]].line
            assert "; " in line.rest


@FUZZ
@given(st.text(max_size=300))
def test_any_text_is_taken_or_refused(text: str) -> None:
    only_refuses(text)


@FUZZ
@given(st.text("[]{}:,-?&*!|>'\"%@` \n\tab1.#~", max_size=120))
def test_any_yaml_punctuation_is_taken_or_refused(text: str) -> None:
    only_refuses(text)


@FUZZ
@given(st.sampled_from(VALID), st.data())
def test_a_file_with_a_piece_cut_or_put_in_is_taken_or_refused(path: Any, data: st.DataObject) -> None:
    text = path.read_text(encoding="utf-8-sig")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    piece = data.draw(st.text("[]{}:,-?&*!|>'\"%@` \n\tab1.#~\x00\x85\u2028\ufeff", max_size=5))
    only_refuses(text[:start] + piece + text[end:])


def only_refuses(text: str) -> None:
    try:
        parse(text, "x.yaml")
    except InputError as error:
        assert error.message
        assert all(line.startswith("x.yaml:") for line in error.message.splitlines()), error.message
