"""Does it fit: machines on hypervisors, nodes and pods in the pod network, everything in the LAN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.rules.hosts import host
from lab.inventory.rules.networks import LAN, PODS, ranges

TIGHT = 0.85
"""Above this share a warning: one more machine of the usual size will not fit (figure ours)."""


@dataclass(frozen=True)
class CapacityRow:
    """What is needed of something, and what there is. `refuses` is False where another rule does."""

    path: Loc
    subject: str
    unit: str
    need: float
    have: float
    refuses: bool = True
    read: tuple[Loc, ...] = ()

    @property
    def share(self) -> float:
        """Needed share of what there is; 1 is full."""
        return self.need / self.have if self.have else float("inf")


def rows(inventory: Inventory) -> list[CapacityRow]:
    """Every capacity of the inventory, for the rules and for `invoke show`."""
    found: list[CapacityRow] = []
    for name, hypervisor in inventory.hypervisors.items():
        carried = {key: machine for key, machine in inventory.hosts.items() if machine.hypervisor == name}
        limits = (
            ("cpus", "vCPU", hypervisor.cpus * hypervisor.cpu_overcommit),
            ("memory_gib", "GiB memory", hypervisor.memory_gib),
            ("disk_gib", "GiB disk", hypervisor.disk_gib),
        )
        for key, unit, have in limits:
            need = sum(getattr(machine, key) for machine in carried.values())
            read = tuple(host(machine, key) for machine in carried)
            path = ("hypervisors", name, key)
            found.append(CapacityRow(path, f"hypervisor {name}", unit, need, have, read=read))
    kubernetes, lan = inventory.kubernetes, inventory.network.lan
    if kubernetes.node_mask >= kubernetes.pod_subnet.prefixlen:
        parts = 1 << (kubernetes.node_mask - kubernetes.pod_subnet.prefixlen)
        found.append(CapacityRow(PODS, "pod network", "nodes", len(inventory.nodes), parts, refuses=False))
    handed_out = ranges(inventory)
    need = len(inventory.hosts) + 1 + sum(len(area.addresses) for area in handed_out)
    found.append(
        CapacityRow(
            LAN,
            "LAN",
            "addresses",
            need,
            max(lan.num_addresses - 2, 0),
            refuses=False,
            read=(*(area.path for area in handed_out), ("hosts",)),
        )
    )
    return found


def fits(inventory: Inventory) -> Iterator[Problem]:
    """Nothing is promised twice; what is nearly full says so."""
    for row in rows(inventory):
        said = f"{row.need:.12g} of {row.have:.12g} {row.unit} needed"
        depends = (*row.read, *((*row.path[:2], "cpu_overcommit") for _ in range(row.unit == "vCPU")))
        if row.share > 1 and row.refuses:
            fix = f"make machines smaller or fewer, or correct what {row.subject} has"
            yield Problem(row.path, f"{said}, which cannot fit", fix, depends=depends)
        elif TIGHT < row.share <= 1:
            rule = f"{said} ({row.share:.0%}), which is tight"
            yield Problem(
                row.path, rule, "plan for more before adding machines", depends=depends, warning=True
            )


def single_machines(inventory: Inventory) -> Iterator[Problem]:
    """One machine has no more CPUs than its hypervisor has cores, which does not start it otherwise."""
    for name, machine in inventory.hosts.items():
        hypervisor = inventory.hypervisors.get(machine.hypervisor or "")
        if hypervisor and machine.cpus > hypervisor.cpus:
            rule = f"{machine.hypervisor} has {hypervisor.cpus} cores, and starts no machine with more"
            owner: Loc = ("hypervisors", machine.hypervisor or "", "cpus")
            yield Problem(host(name, "cpus"), rule, f"write {hypervisor.cpus} or less", others=(owner,))


RULES = (fits, single_machines)
