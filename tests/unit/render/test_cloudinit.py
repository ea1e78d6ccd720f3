"""The NoCloud seed, read back as cloud-init reads it (YAML 1.1): the same values, the same first boot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import SYSCTL_FILE, Bundle, File, bundle, pins
from lab.render.cloudinit import first_boot_commands, seed
from lab.ssh import Keys
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.world import INVENTORY, inventory


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path))
    return Keys("test")


def rendered(name: str, traits: Traits = CONTAINERS, wanted: Inventory | None = None) -> Bundle:
    return bundle(lab := wanted or inventory(), traits, pins(lab), name)


def user_data(
    keys: Keys, name: str = "worker-1", traits: Traits = CONTAINERS, wanted: Bundle | None = None
) -> dict[str, Any]:
    text = seed(inventory(), traits, wanted or rendered(name, traits), keys)["user-data"]
    assert text.startswith("#cloud-config\n")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize("name", list(inventory().hosts))
@pytest.mark.parametrize("traits", [CONTAINERS, FULL_MACHINES], ids=["container", "machine"])
def test_c02_every_file_of_the_bundle_is_written_with_its_bytes_owner_and_mode(
    keys: Keys, name: str, traits: Traits
) -> None:
    """C02: modes are text, `0600` and never 384."""
    wanted = rendered(name, traits)
    written = user_data(keys, name, traits)["write_files"]
    assert [(item["path"], item["content"], item["owner"], item["permissions"]) for item in written] == [
        (file.path, file.text, file.owner, file.mode) for file in wanted.files
    ]
    assert all(set(item) == {"path", "content", "owner", "permissions"} for item in written)


@pytest.mark.parametrize(
    "content",
    [
        "0600\n",
        "yes\n",
        "on\n",
        "1:30\n",
        "a: b\n",
        "- x\n",
        "#cloud-config\n",
        "tab\there\n",
        "trailing  \n\n\n",
        "no newline",
        "",
        "'\"\\\n",
        "{{ jinja }}\n",
        "Büro €\n",
        "%s %d\n",
        "---\n...\n",
    ],
)
def test_c02_content_that_yaml_would_take_for_something_else_arrives_as_it_is(
    keys: Keys, content: str
) -> None:
    wanted = replace(rendered("worker-1"), files=(File("/etc/x", content, "root:root", "0600", ()),))
    [written] = user_data(keys, wanted=wanted)["write_files"]
    assert written == {"path": "/etc/x", "content": content, "owner": "root:root", "permissions": "0600"}


def test_c08_every_command_of_the_first_boot_is_a_list_of_words(keys: Keys) -> None:
    """C08: a line with a colon would become a mapping."""
    for name in inventory().hosts:
        for traits in (CONTAINERS, FULL_MACHINES):
            commands = user_data(keys, name, traits)["runcmd"]
            assert commands == first_boot_commands(rendered(name, traits))
            assert all(isinstance(word, str) and word for command in commands for word in command)


def test_the_first_boot_loads_modules_then_settings_then_starts_units() -> None:
    commands = first_boot_commands(rendered("worker-1", FULL_MACHINES))
    assert [command[:2] for command in commands] == [
        ["modprobe", "--all"],
        ["sysctl", "--quiet"],
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable"],
        ["systemctl", "restart"],
    ]
    assert commands[1][-1] == SYSCTL_FILE
    assert "kubelet.service" in commands[3]
    assert "kubelet.service" not in commands[4], "kubeadm starts it"
    assert "containerd.service" in commands[4]


def test_a_container_loads_no_modules() -> None:
    assert "modprobe" not in {command[0] for command in first_boot_commands(rendered("worker-1"))}


def test_host_keys_are_ours_and_no_other_is_made(keys: Keys) -> None:
    found = user_data(keys)
    pair = keys.host("worker-1")
    assert found["ssh_keys"] == {"ed25519_private": pair.private, "ed25519_public": pair.public}
    assert found["ssh_deletekeys"] is True


def test_only_our_key_and_the_inventorys_let_anybody_in(keys: Keys) -> None:
    public = keys.host("somebody").public.replace(" somebody", " ops@lab.example (Büro) cardno:18")
    lab = inventory(INVENTORY + f"ssh: {{user: ops, authorized_keys: [{json.dumps(public)}]}}\n")
    text = seed(lab, CONTAINERS, rendered("worker-1", wanted=lab), keys)["user-data"]
    found = yaml.safe_load(text)
    [user] = found["users"]
    assert user["name"] == "ops"
    assert user["ssh_authorized_keys"] == [keys.own().public, public]
    assert user["lock_passwd"] is True
    assert found["ssh_pwauth"] is False
    assert found["disable_root"] is True


def test_packages_are_installed_on_full_machines_alone(keys: Keys) -> None:
    container, machine = user_data(keys), user_data(keys, traits=FULL_MACHINES)
    assert (container["package_update"], "packages" in container) == (False, False)
    assert machine["package_update"] is True
    assert set(machine["packages"]) >= {"conntrack", "runc", "sudo"}


def test_nothing_is_left_to_the_image(keys: Keys) -> None:
    container, machine = user_data(keys), user_data(keys, traits=FULL_MACHINES)
    assert machine["timezone"] == "Etc/UTC"
    assert "timezone" not in container, "it has none but UTC, and no file of another"
    assert container["package_upgrade"] is machine["package_upgrade"] is False


def test_the_locale_needs_no_program_that_a_small_system_lacks(keys: Keys) -> None:
    assert user_data(keys)["locale"] == "C.UTF-8"


def test_c11_the_network_is_static_and_bound_to_the_card_by_its_address(keys: Keys) -> None:
    text = seed(inventory(), CONTAINERS, rendered("worker-1"), keys)["network-config"]
    found = yaml.safe_load(text)
    assert found["version"] == 2
    [(_, card)] = found["ethernets"].items()
    assert card["match"] == {"macaddress": inventory().mac("worker-1")}
    assert card["addresses"] == ["10.1.1.31/24"]
    assert card["routes"] == [{"to": "0.0.0.0/0", "via": "10.1.1.1"}]
    assert card["nameservers"] == {"addresses": ["10.1.1.1"], "search": []}
    assert card["dhcp4"] is False
    assert "gateway4" not in text, "deprecated"


def test_c02_a_hardware_address_of_digits_stays_text(keys: Keys) -> None:
    """C02: 52:54:00:12:34:56 is a number to a YAML 1.1 reader."""
    lab = inventory(INVENTORY.replace("address: 10.1.1.31,", 'address: 10.1.1.31, mac: "52:54:00:12:34:56",'))
    text = seed(lab, CONTAINERS, rendered("worker-1", wanted=lab), keys)["network-config"]
    assert yaml.safe_load(text)["ethernets"]["lan"]["match"]["macaddress"] == "52:54:00:12:34:56"


def instance(keys: Keys, wanted: Bundle, lab: Inventory | None = None) -> str:
    found = yaml.safe_load(seed(lab or inventory(), CONTAINERS, wanted, keys)["meta-data"])
    assert found["local-hostname"] == wanted.host
    text: str = found["instance-id"]
    assert text.startswith(f"{wanted.host}-")
    return text


def test_the_instance_id_changes_exactly_when_the_seed_does(keys: Keys) -> None:
    wanted = rendered("worker-1")
    first = instance(keys, wanted)
    assert instance(keys, rendered("worker-1")) == first
    more = (*wanted.files, File("/etc/x", "", "root:root", "0644", ()))
    other_network = inventory(
        INVENTORY.replace("gateway: 10.1.1.1", "gateway: 10.1.1.1, nameservers: [9.9.9.9]")
    )
    seen = {
        first,
        instance(keys, replace(wanted, files=more)),
        instance(keys, wanted, other_network),
        instance(keys, rendered("worker-2")),
        instance(Keys("other"), wanted),
    }
    assert len(seen) == 5
