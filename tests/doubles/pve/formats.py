"""Formats of the API's text parameters: each check raises `ValueError` with PVE's words.

Patterns are those of pve-common's JSONSchema.pm and qemu-server's QemuServer.pm, as far as their documents
and answers show them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface

INVALID = "invalid format - "


def _matching(pattern: str, text: str) -> Callable[[str], None]:
    compiled = re.compile(pattern)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
            raise ValueError(INVALID + text.format(value))

    return check


def _each(check: Callable[[str], None], separators: str = r"[,;\s\0]+") -> Callable[[str], None]:
    def check_list(value: str) -> None:
        for item in filter(None, re.split(separators, value)):
            check(item)

    return check_list


def _addresses(value: str) -> None:
    for item in filter(None, re.split(r"[,;\s]+", value)):
        try:
            IPv4Address(item)
        except ValueError:
            raise ValueError(f"{INVALID}value does not look like a valid address: {item}") from None


def _ipconfig(value: str) -> None:
    found = property_string(value, ("ip", "gw", "ip6", "gw6"))
    if "ip" in found and found["ip"] != "dhcp":
        try:
            if "/" not in found["ip"]:
                raise ValueError
            IPv4Interface(found["ip"])
        except ValueError:
            text = "value does not look like a valid ipv4 network configuration"
            raise ValueError(f"{INVALID}format error\nip: {INVALID}{text}\n") from None
    if "gw" in found and found.get("ip", "dhcp") == "dhcp":
        raise ValueError(f"{INVALID}format error\ngw: gateway requires an address\n")


def _custom(value: str) -> None:
    for volume in property_string(value, ("meta", "network", "user", "vendor")).values():
        _volume(volume)


def _smbios(value: str) -> None:
    property_string(
        value, ("uuid", "version", "sku", "manufacturer", "product", "serial", "family", "base64")
    )


def _boot(value: str) -> None:
    if "order" in value:
        property_string(value, ("legacy", "order"))


def _tags(value: str) -> None:
    for tag in filter(None, re.split(r"[,;\s]+", value)):
        if not re.fullmatch(r"[a-z0-9_][a-z0-9_\-+.]*", tag, re.IGNORECASE):
            raise ValueError(f"{INVALID}value '{tag}' does not look like a valid pve-tag")


def split_tags(value: str) -> list[str]:
    """Tags as PVE keeps them: lower case, once, sorted."""
    return sorted({tag.lower() for tag in filter(None, re.split(r"[,;\s]+", value))})


def property_string(value: str, keys: tuple[str, ...]) -> dict[str, str]:
    """`virtio=AA,bridge=vmbr0` as a mapping; a word without `=` belongs to the first of `keys`.

    Raises `ValueError` for a word that is not in `keys`, or one that stands there twice.
    """
    found: dict[str, str] = {}
    for word in value.split(","):
        name, is_pair, text = word.partition("=")
        if not is_pair:
            name, text = keys[0], word
        if name not in keys:
            raise ValueError(f"{INVALID}format error\n{name}: {_UNKNOWN}\n")
        if name in found:
            raise ValueError(
                f"{INVALID}format error\nduplicate key in comma-separated list property: {name}\n"
            )
        found[name] = text
    return found


_UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
_volume = _matching(r"[A-Za-z][A-Za-z0-9\-_.]*[A-Za-z0-9]:\S+", "unable to parse volume ID '{}'")
_vmid = _matching(r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID")
_storage = _matching(r"[A-Za-z][A-Za-z0-9\-_.]*[A-Za-z0-9]", "storage ID '{}' contains illegal characters")
_config = _matching(r"[A-Za-z][\w-]+", "invalid configuration ID '{}'")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_name = _matching(rf"{_LABEL}(\.{_LABEL})*", "value does not look like a valid DNS name")
_node = _matching(r"[A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?", "value does not look like a valid node name")
_privilege = _matching(r"[A-Za-z]+(\.[A-Za-z]+)+", "value '{}' is not a privilege")

FORMATS: dict[str, Callable[[str], None]] = {
    "address-list": _addresses,
    "dns-name": _name,
    "pve-configid": _config,
    "pve-configid-list": _each(_config),
    "pve-ha-group-node-list": _each(
        _matching(r"[A-Za-z0-9\-]+(:\d+)?", "value does not look like a valid ha group node"), ","
    ),
    "pve-ha-resource-id-list": _each(
        _matching(r"(vm|ct):\d+", "value does not look like a valid ha resource id"), ","
    ),
    "pve-ha-resource-or-vm-id": _matching(
        r"((vm|ct):)?\d+", "value does not look like a valid ha resource id"
    ),
    "pve-hotplug-features": _each(
        _matching(r"network|disk|cpu|memory|usb|cloudinit|0|1", "unable to parse hotplug feature '{}'"), ","
    ),
    "pve-iface": _matching(r"[a-zA-Z][a-zA-Z0-9_]{1,20}([:.]\d+)?", "invalid network interface name '{}'"),
    "pve-node": _node,
    "pve-poolid": _matching(
        r"[A-Za-z0-9.\-_]+(/[A-Za-z0-9.\-_]+){0,2}", "value '{}' contains invalid characters"
    ),
    "pve-priv-list": _each(_privilege),
    "pve-qm-boot": _boot,
    "pve-qm-cicustom": _custom,
    "pve-qm-ipconfig": _ipconfig,
    "pve-qm-smbios1": _smbios,
    "pve-realm": _matching(r"[A-Za-z][A-Za-z0-9.\-_]+", "value does not look like a valid realm"),
    "pve-roleid": _matching(r"[A-Za-z0-9.\-_]+", "role '{}' contains invalid characters"),
    "pve-startup-order": _matching(
        r"((order=)?\d+|up=\d+|down=\d+)(,((order=)?\d+|up=\d+|down=\d+))*", "unable to parse startup options"
    ),
    "pve-storage-content": _matching(
        r"images|rootdir|vztmpl|iso|backup|snippets|import|none", "invalid content type '{}'"
    ),
    "pve-storage-content-list": _each(
        _matching(r"images|rootdir|vztmpl|iso|backup|snippets|import|none", "invalid content type '{}'")
    ),
    "pve-storage-id": _storage,
    "pve-storage-id-list": _each(_storage),
    "pve-tag-list": _tags,
    "pve-vm-cpu-conf": _matching(
        r"(cputype=)?[A-Za-z0-9\-_]+(,(flags|hidden|hv-vendor-id|phys-bits|reported-model)=[^,]+)*",
        "unable to parse CPU '{}'",
    ),
    "pve-vmid": _vmid,
    "pve-vmid-list": _each(_vmid),
    "pve-volume-id": _volume,
    "urlencoded": _matching(r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string"),
}
"""Checks by the name of the format."""
