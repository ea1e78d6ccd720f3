"""Options of a VM: who may change which, how PVE keeps them, and what waits for the next start."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from tests.doubles.pve import contract_vm as contract
from tests.doubles.pve.answers import ApiError
from tests.doubles.pve.formats import property_string, split_tags
from tests.doubles.pve.state import DRIVE, Config, Vm, is_cloud_init_option
from tests.doubles.pve.world import Call

OUI = "BC:24:11"
"""Proxmox's own prefix of MAC addresses."""


def family(key: str) -> str:
    """`net[n]` for `net0`."""
    return re.sub(r"\d+$", "[n]", key) if key not in contract.OPTIONS else key


def is_option(key: str) -> bool:
    """Whether a parameter of create or change is an option of the VM."""
    return family(key) in contract.OPTIONS or key == "template"


def check_rights(call: Call, keys: Iterable[str]) -> None:
    """Whether the caller may change these options. Raises `ApiError` 403, 500 for those of root alone."""
    for key in keys:
        if is_cloud_init_option(key):
            call.require_vm("VM.Config.Cloudinit", "VM.Config.Network", any_of=True)
        elif DRIVE.fullmatch(key):
            continue  # check_drives asks, by the drive's kind
        elif key in contract.ROOT_ONLY or (key.startswith("serial") and call.arguments.get(key) != "socket"):
            raise ApiError(500, f"only root can set '{key}' config")
        else:
            call.require_vm(contract.PRIVILEGES[family(key)])
            if key == "startup":  # it changes what the host does (qemu-server, API2/Qemu.pm)
                call.require("/", "Sys.Modify")
    check_bridges(call, call.arguments)


def check_bridges(call: Call, options: Mapping[str, Any]) -> None:
    """Whether the caller may use the bridges and VNets of network cards: of new ones, and of a source's."""
    for key, value in options.items():
        if family(key) == "net[n]":
            words = property_string(value, contract.NET_KEYS)
            if "bridge" in words:
                zone = f"/sdn/zones/{call.world.zone_of(words['bridge'])}/{words['bridge']}"
                call.require(f"{zone}/{words['tag']}" if "tag" in words else zone, "SDN.Use")


def kept(values: Mapping[str, Any], before: Config) -> Config:
    """Options as the configuration file has them. `before`: a card that is not given a MAC keeps its own."""
    config: Config = {}
    for key, value in values.items():
        if not is_option(key):
            continue
        if isinstance(value, bool):
            config[key] = str(int(value))
        elif key == "tags":
            config[key] = ";".join(split_tags(value))
        elif family(key) == "net[n]":
            config[key] = _card(value)
        elif key == "cipassword":
            config[key] = value if value.startswith("$") else _hashed(value)
        else:
            config[key] = str(value)
    return {key: value for key, value in config.items() if value != before.get(key)}


def _card(value: str) -> str:
    words = property_string(value, contract.NET_KEYS)
    model = words.pop("model", "") or next(name for name in contract.NET_MODELS if name in words)
    mac = words.pop("macaddr", "") or words.pop(model, "") or new_mac()
    return ",".join(
        [f"{model}={mac.upper()}", *(f"{key}={words[key]}" for key in sorted(words) if key != model)]
    )


def new_mac() -> str:
    """A MAC of Proxmox's, made by chance."""
    return ":".join([OUI, *(f"{secrets.randbelow(256):02X}" for _ in range(3))])


def _hashed(password: str) -> str:
    """Not what PVE writes (sha256crypt), but as unreadable: the double logs nobody in."""
    salt = secrets.token_hex(4)
    return f"$5${salt}${hashlib.sha256((salt + password).encode()).hexdigest()}"


def fresh_identity(config: Config) -> None:
    """What every new VM has of its own."""
    config["smbios1"] = f"uuid={uuid.uuid4()}"
    config["vmgenid"] = str(uuid.uuid4())
    config["meta"] = "creation-qemu=9.2.0"


def change(vm: Vm, values: Config, deleted: Iterable[str]) -> None:
    """Set and delete options: at once on a VM that is off, else what cannot be had at once is pending."""
    for key in deleted:
        vm.pending.pop(key, None)
        if key in vm.config:
            vm.deleted.add(key)
    for key, value in values.items():
        vm.deleted.discard(key)
        vm.pending[key] = value
    at_once = {
        key for key in {*vm.pending, *vm.deleted} if vm.status != "running" or family(key) in contract.HOT
    }
    vm.apply_pending(at_once)
    for key in at_once & set(vm.config) & set(vm.running):
        vm.running[key] = vm.config[key]


def shown(config: Config) -> dict[str, Any]:
    """Options as an answer has them: numbers as numbers, no password."""
    numbers = {
        "cores",
        "sockets",
        "balloon",
        "onboot",
        "template",
        "ciupgrade",
        "numa",
        "acpi",
        "tablet",
        "protection",
        "cpuunits",
    }
    found: dict[str, Any] = {key: int(value) if key in numbers else value for key, value in config.items()}
    if "cipassword" in found:
        found["cipassword"] = "**********"
    return found
