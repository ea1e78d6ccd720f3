"""The cloud-init drive: what PVE writes from the options of a VM."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import pytest
import yaml

from tests.unit.doubles.asking import NODE, Asking

VM = f"{NODE}/qemu/101"
KEYS = ("ssh-ed25519 AAAAC3FAKE/key+0= cardno:18 228 342", "ssh-rsa AAAAB3FAKE ops@lab.example (Büro)")


@pytest.fixture
def guest(cluster: Asking) -> Asking:
    """The clone 101 with everything that cloud-init is told."""
    cluster.clone(101, name="master-1")
    answer = cluster.ask(
        "PUT",
        f"{VM}/config",
        net0="virtio=52:54:00:0A:01:01,bridge=vmbr0",
        ipconfig0="ip=10.1.1.11/24,gw=10.1.1.1",
        nameserver="10.1.1.1 10.1.1.2",
        ciuser="ops",
        sshkeys=quote("\n".join(KEYS), safe=""),
        ciupgrade=0,
    )
    assert answer.status == 200, answer
    return cluster


def dump(guest: Asking, kind: str) -> str:
    return str(guest.get(f"{VM}/cloudinit/dump", type=kind))


def test_the_user_is_who_the_options_say(guest: Asking) -> None:
    told = yaml.safe_load(dump(guest, "user"))
    assert told == {
        "hostname": "master-1",
        "manage_etc_hosts": True,
        "user": "ops",
        "ssh_authorized_keys": list(KEYS),
        "chpasswd": {"expire": False},
        "users": ["default"],
    }


def test_packages_are_upgraded_unless_forbidden(guest: Asking) -> None:
    guest.ask("PUT", f"{VM}/config", delete="ciupgrade")
    assert yaml.safe_load(dump(guest, "user"))["package_upgrade"] is True


def test_the_network_is_version_1(guest: Asking) -> None:
    told = yaml.safe_load(dump(guest, "network"))
    card, names = told["config"]
    assert (told["version"], card["mac_address"], card["name"]) == (1, "52:54:00:0a:01:01", "eth0")
    assert card["subnets"] == [
        {"type": "static", "address": "10.1.1.11", "netmask": "255.255.255.0", "gateway": "10.1.1.1"}
    ]
    assert names == {
        "type": "nameserver",
        "address": ["10.1.1.1", "10.1.1.2"],
        "search": ["example.test"],
    }


def test_a_card_without_ipconfig_is_not_mentioned(guest: Asking) -> None:
    guest.ask("PUT", f"{VM}/config", delete="ipconfig0")
    assert [line["type"] for line in yaml.safe_load(dump(guest, "network"))["config"]] == ["nameserver"]


def test_the_instance_changes_with_user_and_network_but_not_with_vendor_data(guest: Asking) -> None:
    first = dump(guest, "meta")
    told = dump(guest, "user") + dump(guest, "network")
    assert first == f"instance-id: {hashlib.sha1(told.encode()).hexdigest()}\n"
    guest.snippet("v.yaml", "#cloud-config\nruncmd: [true]\n")
    guest.ask("PUT", f"{VM}/config", cicustom="vendor=local:snippets/v.yaml")
    assert dump(guest, "meta") == first
    guest.ask("PUT", f"{VM}/config", ipconfig0="ip=10.1.1.12/24,gw=10.1.1.1")
    assert dump(guest, "meta") != first


def test_a_custom_user_file_takes_the_place_of_the_options(guest: Asking) -> None:
    guest.snippet("u.yaml", "#cloud-config\nhostname: other\n")
    guest.ask("PUT", f"{VM}/config", cicustom="user=local:snippets/u.yaml")
    assert dump(guest, "user") == "#cloud-config\nhostname: other\n"


def test_a_snippet_has_a_longest_size(guest: Asking) -> None:
    guest.snippet("v.yaml", "#" * (1024**2 + 1))
    guest.ask("PUT", f"{VM}/config", cicustom="vendor=local:snippets/v.yaml")
    assert "too long" in guest.do("POST", f"{VM}/status/start")


def test_a_snippet_is_one_node_s_and_stays_where_it_is_when_its_machine_moves(guest: Asking) -> None:
    guest.snippet("v.yaml", "#cloud-config\n")
    guest.ask("PUT", f"{VM}/config", cicustom="vendor=local:snippets/v.yaml")
    guest.world.move(guest.world.vms[101], "pve-2")
    there = VM.replace("pve-1", "pve-2")
    missing = "can't open '/var/lib/vz/snippets/v.yaml' - No such file or directory"
    assert guest.do("POST", f"{there}/status/start") == missing
    guest.snippet("v.yaml", "#cloud-config\n", "pve-2")
    assert guest.do("POST", f"{there}/status/start") == "OK"
    assert guest.world.orphans() == [], "its disks have moved with it"


def test_the_drive_is_written_at_start_and_by_a_regeneration(guest: Asking) -> None:
    guest.do("POST", f"{VM}/status/start")
    written = dict(guest.world.vms[101].seed)
    assert set(written) == {"user-data", "network-config", "meta-data", "vendor-data"}
    guest.ask("PUT", f"{VM}/config", ciuser="other")
    assert guest.world.vms[101].seed == written
    waiting = {line["key"]: line.get("pending") for line in guest.get(f"{VM}/cloudinit")}
    assert waiting["ciuser"] == "other"
    assert guest.ask("PUT", f"{VM}/cloudinit").status == 200
    assert "user: other" in guest.world.vms[101].seed["user-data"]


def test_a_password_is_shown_to_nobody(guest: Asking) -> None:
    guest.ask("PUT", f"{VM}/config", cipassword="a secret")
    assert guest.get(f"{VM}/config")["cipassword"] == "**********"
    assert "a secret" not in dump(guest, "user") + str(guest.world.journal.requests)
