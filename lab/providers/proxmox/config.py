"""A machine on Proxmox VE 8 and 9: the fields of its API, and the vendor data beside them; plain data.

The API writes name, login, keys and network into a seed of its own. What it cannot say goes into a vendor
snippet, which is added; a user snippet would replace everything the fields say (qemu-server, Cloudinit.pm).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lab.errors import FailedError
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.providers.proxmox.mark import TAG, lab_tag
from lab.providers.proxmox.section import Proxmox, Snippets
from lab.ssh import Keys

NAME = "proxmox"
"""The provider's name in inventories: that of its folder."""
TRAITS = Traits(writes_seed=True)
"""Of every machine."""
NOTHING_SEARCHED = "."
"""The root alone. An empty text cannot be kept, and without the field Proxmox VE takes the domain that the
hypervisor itself searches (qemu-server, Cloudinit.pm, get_dns_conf)."""
SNIPPET_LIMIT = 1024 * 1024
"""Bytes of one snippet (qemu-server, Cloudinit.pm)."""


def hosts_of(inventory: Inventory) -> tuple[str, ...]:
    """The machines of a lab that stand on Proxmox VE."""
    return tuple(name for name in inventory.hosts if inventory.provided_by(name) == NAME)


def fields(inventory: Inventory, name: str, keys: Keys) -> dict[str, Any]:
    """Parameters of POST or PUT .../qemu/VMID/config for one machine, as the API takes them.

    Its vendor data is the file `vendor_file(...)` on the inventory's storage for snippets. Numbers and text
    only: the API knows no booleans. Raises `FailedError` for a machine that names no hypervisor.
    """
    host = inventory.hosts[name]
    if host.hypervisor is None:
        raise FailedError(
            f"hosts.{name}: names no hypervisor", next_step=f"add hosts.{name}.hypervisor to the inventory"
        )
    section = inventory.find(Proxmox)
    snippets = (section.snippets if section else Snippets()).storage
    bridge = inventory.hypervisors[host.hypervisor].bridge
    tag = f",tag={inventory.network.vlan}" if inventory.network.vlan else ""
    return {
        "name": name,
        "cores": host.cpus,
        "memory": host.memory_gib * 1024,
        "onboot": 1,
        "tags": ";".join(sorted({TAG, lab_tag(inventory.lab), host.role.value})),
        "net0": f"virtio={inventory.mac(name).upper()},bridge={bridge}{tag}",
        "ipconfig0": f"ip={inventory.interface(name)},gw={inventory.network.gateway}",
        "nameserver": " ".join(map(str, inventory.nameservers)),
        "searchdomain": " ".join(inventory.network.search_domains) or NOTHING_SEARCHED,
        "ciuser": inventory.ssh.user,
        "sshkeys": encoded_keys([keys.own().public, *inventory.ssh.authorized_keys]),
        # an upgrade at the first boot is slow and may replace the container runtime
        "ciupgrade": 0,
        # no order of starts: it needs Sys.Modify on /, a right over the nodes (qemu-server, Qemu.pm)
        "cicustom": f"vendor={snippets}:snippets/{vendor_file(inventory, name)}",
    }


def encoded_keys(keys: list[str]) -> str:
    """Public keys as the API's `urlencoded` format: joined by line feeds, everything percent-encoded.

    Python's default leaves `/` as it is and other encoders write `+` for a space; both are refused with
    "invalid urlencoded string" (proxmoxer#153, Telmate/terraform-provider-proxmox#133).
    """
    return quote("\n".join(key.strip() for key in keys), safe="")


def vendor_file(inventory: Inventory, name: str) -> str:
    """Name of a machine's vendor snippet."""
    return f"plumbline-{inventory.lab}-{name}.yaml"


def checked_snippet(name: str, text: str) -> str:
    """The vendor data, if the hypervisor takes it. Raises `FailedError` when it is too long."""
    size = len(text.encode())
    if size > SNIPPET_LIMIT:
        raise FailedError(f"{name}: vendor data of {size} bytes; Proxmox VE takes {SNIPPET_LIMIT}")
    return text
