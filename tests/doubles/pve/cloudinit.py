"""The cloud-init drive as PVE fills it from a VM's options (qemu-server, Cloudinit.pm, nocloud)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import IPv4Interface
from pathlib import Path
from urllib.parse import unquote

from tests.doubles.pve.answers import TaskError
from tests.doubles.pve.backing import mac_of
from tests.doubles.pve.formats import property_string
from tests.doubles.pve.state import Config, Node

SNIPPET_BYTES, SUM_BYTES = 1024**2, 3 * 1024**2
KINDS = ("user", "network", "meta")


def user_data(vmid: int, config: Config) -> str:
    """The `user-data` file."""
    host, _, domain = config.get("name", f"VM{vmid}").partition(".")
    domain = domain or config.get("searchdomain", "")
    lines = ["#cloud-config", f"hostname: {host}", "manage_etc_hosts: true"]
    if domain:
        lines.append(f"fqdn: {host}.{domain}")
    user = config.get("ciuser")
    if user:
        lines.append(f"user: {user}")
    if user == "root":
        lines.append("disable_root: False")
    if "cipassword" in config:
        lines.append(f"password: {config['cipassword']}")
    if "sshkeys" in config:
        keys = [key for key in unquote(config["sshkeys"]).split("\n") if key.strip()]
        lines += ["ssh_authorized_keys:", *(f"  - {key}" for key in keys)]
    lines += ["chpasswd:", "  expire: False"]
    if user != "root":
        lines += ["users:", "  - default"]
    if config.get("ciupgrade", "1") == "1":
        lines.append("package_upgrade: true")
    return "\n".join(lines) + "\n"


def network_config(node: Node, config: Config) -> str:
    """The `network-config` file, version 1. Cards without ipconfigN are left out."""
    lines = ["version: 1", "config:"]
    for key in sorted(key for key in config if key.startswith("net")):
        number = key.removeprefix("net")
        told = config.get(f"ipconfig{number}")
        if told is None:
            continue
        lines += [
            "    - type: physical",
            f"      name: eth{number}",
            f"      mac_address: '{mac_of(config[key])}'",
            "      subnets:",
        ]
        words = property_string(told, ("ip", "gw", "ip6", "gw6"))
        if words.get("ip") == "dhcp":
            lines.append("      - type: dhcp4")
        elif "ip" in words:
            interface = IPv4Interface(words["ip"])
            lines += [
                "      - type: static",
                f"        address: '{interface.ip}'",
                f"        netmask: '{interface.netmask}'",
                *([f"        gateway: '{words['gw']}'"] if "gw" in words else []),
            ]
    servers = config["nameserver"].split() if "nameserver" in config else list(node.nameservers)
    domains = config.get("searchdomain", node.search).split()
    lines.append("    - type: nameserver")
    lines += ["      address:", *(f"      - '{server}'" for server in servers)] if servers else []
    lines += ["      search:", *(f"      - '{domain}'" for domain in domains)] if domains else []
    return "\n".join(lines) + "\n"


def meta_data(user: str, network: str) -> str:
    """The `meta-data` file: the instance is the digest of the other two. Vendor data is no part of it."""
    return f"instance-id: {hashlib.sha1((user + network).encode()).hexdigest()}\n"


def seed(vmid: int, node: Node, config: Config, snippets: Mapping[str, Path]) -> dict[str, str]:
    """All files of the drive by name; `snippets` are folders by storage.

    A custom file takes the place of the one PVE would write; vendor data is added beside. Raises `TaskError`
    for a custom file that is missing or too long.
    """
    custom = _custom_files(config, snippets)
    user = custom.get("user", user_data(vmid, config))
    network = custom.get("network", network_config(node, config))
    meta = custom.get("meta", meta_data(user, network))
    if len((user + network + meta).encode()) > SUM_BYTES:
        raise TaskError("Cloud-Init sum of snippets too big (> 3 MiB)")
    return {
        "user-data": user,
        "network-config": network,
        "meta-data": meta,
        "vendor-data": custom.get("vendor", ""),
    }


def _custom_files(config: Config, snippets: Mapping[str, Path]) -> dict[str, str]:
    if "cicustom" not in config:
        return {}
    found = {}
    for kind, volid in property_string(config["cicustom"], (*KINDS, "vendor")).items():
        storage, _, name = volid.partition(":")
        file = snippets.get(storage, Path("/nonexistent")) / name.removeprefix("snippets/")
        if not file.is_file():
            raise TaskError(f"can't open '/var/lib/vz/{name}' - No such file or directory")
        if file.stat().st_size > SNIPPET_BYTES:
            raise TaskError(f"can't read '{volid}' - file too long (> {SNIPPET_BYTES} bytes)")
        found[kind] = file.read_text()
    return found
