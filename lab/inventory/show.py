"""The resolved inventory as tables: machines with their derived values, and what is left of each capacity.

Every cell is plain text: rich would take `:cd:` in a MAC address for an emoji, and brackets for markup.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.addons import selected
from lab.inventory.addon_sections import of_lab, versions
from lab.inventory.models import Inventory
from lab.inventory.rules.capacity import TIGHT, rows


def show(inventory: Inventory) -> RenderableType:
    """Lab, machines, what add-ons show, capacity, and what was replaced or is tight."""
    parts: list[RenderableType] = [
        _lab(inventory),
        _machines(inventory),
        *(table for _, section in of_lab(inventory) for table in section.tables(inventory)),
        _capacity(inventory),
    ]
    for title, lines, style in (
        ("replaced", inventory.notes, "cyan"),
        ("warnings", inventory.warnings, "yellow"),
    ):
        if lines:
            parts.append(Text("\n".join((f"{title}:", *(f"  {line}" for line in lines))), style=style))
    return Group(*parts)


def _lab(inventory: Inventory) -> Table:
    kubernetes, network = inventory.kubernetes, inventory.network
    vlan = f", VLAN {network.vlan}" if network.vlan else ""
    facts = {
        "provider": f"{inventory.provider}{', disposable' if inventory.disposable else ''}",
        "API": f"https://{inventory.endpoint} through {inventory.balancer}",
        "LAN": f"{network.lan}, gateway {network.gateway}{vlan}",
        "management": str(network.management or "none"),
        "DHCP": str(network.dhcp or "none"),
        "nameservers": ", ".join(str(server) for server in inventory.nameservers),
        "search domains": ", ".join(network.search_domains) or "none",
        "time servers": ", ".join(network.time_servers),
        "pods": f"{kubernetes.pod_subnet}, a /{kubernetes.node_mask} and {kubernetes.max_pods} pods a node",
        "services": f"{kubernetes.service_subnet}, domain {kubernetes.dns_domain}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions(inventory).items()),
        "add-ons": ", ".join(addon.title for addon in selected(inventory)),
        **{key: value for _, section in of_lab(inventory) for key, value in section.rows(inventory).items()},
        "login": f"{inventory.ssh.user}, {len(inventory.ssh.authorized_keys)} keys besides the lab's own",
    }
    table = Table(title=f"lab {inventory.lab}", show_header=False, title_justify="left", box=None)
    for name, value in facts.items():
        _row(table, name, value)
    return table


def _machines(inventory: Inventory) -> Table:
    """The machines; on a narrow terminal only the last column folds."""
    table = Table(
        title=f"{len(inventory.hosts)} machines", title_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    for title in ("name", "role", "address", "MAC"):
        table.add_column(title, no_wrap=True)
    for title in ("vCPU", "GiB", "disk"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("made of")
    for name, machine in inventory.hosts.items():
        place = f" on {machine.hypervisor}" if machine.hypervisor else ""
        vmid = f" as {machine.vmid}" if machine.vmid else ""
        labels = "".join(f", {key}={value}" for key, value in machine.labels.items())
        kind = "" if machine.hardware == "vm" else f"{machine.hardware}, "
        _row(
            table,
            name,
            machine.role,
            str(inventory.interface(name)),
            inventory.mac(name),
            str(machine.cpus),
            str(machine.memory_gib),
            str(machine.disk_gib),
            f"{inventory.provided_by(name)}{place}{vmid}, {kind}{machine.os} {machine.arch}{labels}",
        )
    return table


def _capacity(inventory: Inventory) -> Table:
    table = Table(title="capacity", title_justify="left")
    table.add_column("of")
    table.add_column("what")
    for title in ("needed", "there is", "left", "used"):
        table.add_column(title, justify="right")
    for row in rows(inventory):
        style = "yellow" if row.share > TIGHT else ""
        numbers = (f"{row.need:.12g}", f"{row.have:.12g}", f"{row.have - row.need:.12g}", f"{row.share:.0%}")
        _row(table, row.subject, row.unit, *numbers, style=style)
    return table


def _row(table: Table, *cells: str, style: str = "") -> None:
    table.add_row(*(Text(cell) for cell in cells), style=style)
