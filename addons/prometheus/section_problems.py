"""Rules of the section: machines that can keep what they are to keep, receivers that can be told."""

from __future__ import annotations

from collections.abc import Iterator

from addons.prometheus.section_model import Observability, Receiver
from addons.prometheus.section_places import SECTION, kept, room, usual
from lab.inventory.hardware import is_raspberry_pi
from lab.inventory.models import HostRole, Inventory
from lab.inventory.problems import Loc, Problem, closest
from lab.inventory.rules.ports import NODE_PORTS

RECEIVERS: Loc = (*SECTION, "alertmanager", "receivers")
GRAFANA_PORT: Loc = (*SECTION, "grafana", "port")
_NEEDED = {"webhook": (), "ntfy": ("url",), "slack": ("secret_file",), "email": ("to", "sender", "server")}
"""What a receiver of each kind must say."""
_POSSIBLE = {
    "webhook": ("url", "secret_file"),
    "ntfy": ("url", "secret_file"),
    "slack": ("secret_file",),
    "email": ("to", "sender", "server", "user", "secret_file"),
}


def workers(inventory: Inventory) -> Iterator[Problem]:
    """Metrics, logs and charts are kept and shown by workers of the lab."""
    found = inventory.section(Observability)
    parts = {"prometheus": found.prometheus.host}
    parts |= {"logs": found.logs.host} if found.logs else {}
    parts |= {"grafana": found.grafana.host} if found.grafana else {}
    known = ", ".join(inventory.workers)
    for part, name in parts.items():
        path: Loc = (*SECTION, part, "host")
        if name is None:
            continue
        if name not in inventory.hosts:
            near = closest(name, inventory.workers)
            fix = f"write {near}" if near else f"write one of {known}"
            yield Problem(
                path, f"is no machine of this lab, whose workers are {known}", fix, depends=(("hosts",),)
            )
        elif name not in inventory.workers:
            role = inventory.hosts[name].role
            rule = "is the load balancer, and no Kubernetes node"
            if role is HostRole.CONTROL_PLANE:
                rule = "is a master: what is written there would keep etcd waiting for its disk"
            yield Problem(path, rule, f"write one of {known}", others=(("hosts", name, "role"),))


def disks(inventory: Inventory) -> Iterator[Problem]:
    """What is kept fits the disk of its machine, beside the system and with a seventh of it free."""
    found = [item for item in kept(inventory) if item.host in inventory.workers] if inventory.workers else []
    for item in found:
        others = [one for one in found if one.host == item.host and one is not item]
        left = room(inventory, item.host) - sum(one.gib for one in others)
        path = (*item.path, "retention_gib")
        if item.gib > left:
            beside = "".join(f" beside {one.gib} GiB of {one.what}" for one in others)
            rule = (
                f"do not fit {item.host}: of its {inventory.hosts[item.host].disk_gib} GiB, "
                f"{max(0, left)} can be kept full{beside}"
            )
            fix = f"write {left}" if left > 0 else "name a host with more disk"
            places = tuple((*one.path, "retention_gib") for one in others)
            yield Problem(path, rule, fix, others=(("hosts", item.host, "disk_gib"), *places))
        if is_raspberry_pi(inventory.hosts[item.host]):
            rule = (
                f"keeps {item.what} on a Raspberry Pi, whose card wears out by being written to all the time"
            )
            better = next(
                (name for name in usual(inventory) if not is_raspberry_pi(inventory.hosts[name])), ""
            )
            fix = f"write {better}" if better else "give it a disk of its own"
            yield Problem((*item.path, "host"), rule, fix, warning=True)


def node_port(inventory: Inventory) -> Iterator[Problem]:
    """The charts' port is one of the NodePorts."""
    grafana = inventory.section(Observability).grafana
    if grafana and grafana.port not in NODE_PORTS:
        rule = f"is no NodePort: those are {NODE_PORTS[0]} to {NODE_PORTS[-1]}"
        yield Problem(GRAFANA_PORT, rule, "write 30000, or another of them")


def receivers(inventory: Inventory) -> Iterator[Problem]:
    """A receiver says what its kind needs, and nothing that its kind does not know; its name is its own."""
    first: dict[str, Loc] = {}
    for index, item in enumerate(inventory.section(Observability).alertmanager.receivers):
        path: Loc = (*RECEIVERS, index)
        if item.name in first:
            rule = f"duplicate receiver name {item.name}"
            yield Problem((*path, "name"), rule, "rename one", others=(first[item.name],))
        first.setdefault(item.name, (*path, "name"))
        yield from _fields(item, path)


def _fields(item: Receiver, path: Loc) -> Iterator[Problem]:
    fields = [key for key in type(item).model_fields if key not in ("name", "kind")]
    given = [key for key in fields if getattr(item, key) is not None]
    for key in _NEEDED[item.kind]:
        if key not in given:
            rule = f"needs {key}, which is missing"
            yield Problem((*path, "kind"), rule, f"write {key}", depends=((*path, key),))
    for key in given:
        if key not in _POSSIBLE[item.kind]:
            yield Problem(
                (*path, key), f"is nothing to a receiver of kind {item.kind}", "leave it out", value=""
            )
    if item.kind == "webhook" and not {"url", "secret_file"} & {*given}:
        rule = "needs url, or secret_file with a file that holds it"
        fix = "write url, or secret_file if the URL is a secret"
        yield Problem(
            (*path, "kind"), rule, fix, depends=tuple((*path, key) for key in ("url", "secret_file"))
        )
    if item.kind == "email" and ("user" in given) != ("secret_file" in given):
        have, lack = ("user", "secret_file") if "user" in given else ("secret_file", "user")
        rule = f"is written without {lack}: a login needs both"
        fix = f"write {lack} as well, or leave {have} out"
        yield Problem((*path, have), rule, fix, depends=((*path, lack),))


RULES = (workers, disks, node_port, receivers)
