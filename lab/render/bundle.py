"""A bundle: all that one host must be, computed from inventory and roles, without touching anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.addons import selected
from lab.addons.model import Rights
from lab.artifacts.images import StoredImage
from lab.artifacts.stock import Stock
from lab.artifacts.wanted import wanted
from lab.catalogue.load import load_catalogue
from lab.inventory.addon_sections import pod_interfaces, values_on_machines
from lab.inventory.hardware import is_raspberry_pi
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render import firewall, record
from lab.render.components import kubelet_settings
from lab.render.detected import CRI_SOCKET
from lab.render.firewall import Port
from lab.render.host_certificates import HostCertificate, certificates, clients, rights
from lab.render.patience import STATIC_PODS, static_pod_seconds
from lab.render.role import Action, AddOnRole, Role, RoleBinary, RoleFile, RoleFolder, Unit
from lab.render.roles import host_roles
from lab.render.templates import render

if TYPE_CHECKING:
    from lab.authority import Authority

SYSCTL_FILE = "/etc/sysctl.d/90-plumbline.conf"
MODULES_FILE = "/etc/modules-load.d/plumbline.conf"


@dataclass(frozen=True)
class File:
    """A file as it must be on a host. `mode` is octal text, `on_change` what follows when it was written."""

    path: str
    text: str
    owner: str
    mode: str
    on_change: tuple[Action, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Bundle:
    """What one host must be."""

    host: str
    files: tuple[File, ...]
    packages: tuple[str, ...]
    modules: tuple[str, ...]
    sysctls: dict[str, str]
    units: tuple[Unit, ...]
    binaries: tuple[RoleBinary, ...]
    listen: tuple[Port, ...]
    closed: tuple[Port, ...]
    operators: tuple[IPv4Network, ...] = ()
    """Networks from which the firewall lets us in."""
    time_zone: str = ""
    """"" where it is the machine's owner's."""
    kernel_options: tuple[str, ...] = ()
    module_packages: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    """Patterns (glob(7)) of paths where no other file may lie than those of `files`."""
    modes: tuple[Rights, ...] = ()
    """What may be done at most with what others than we write."""
    folders: tuple[RoleFolder, ...] = ()
    """Files that a program takes one and all."""
    by_pods: tuple[str, ...] = ()
    """Files (patterns) that pods of add-ons write into such folders."""
    kubelet: dict[str, Any] = field(default_factory=dict)
    """Our part of a node's KubeletConfiguration; empty on a host that is no node."""
    stock: Stock | None = None
    """Programs to bring; None for a machine that its provider equips."""
    images: Mapping[str, StoredImage] = field(default_factory=dict)
    """Images that a node must have, whoever brought them, by reference."""
    pod_interfaces: tuple[str, ...] = ()
    """Interfaces by which packets of pods come to a node."""
    certificates: tuple[HostCertificate, ...] = ()
    authority: Authority | None = None
    """Who signs them; None where nothing is to be signed."""
    of_addons: tuple[RoleBinary, ...] = ()
    """Those of `binaries` that add-ons bring: a machine may be older than the add-on."""
    programs: Mapping[str, Path] = field(default_factory=dict)
    """Files of the artefact store for them, by program, for a machine that its provider equips."""


@dataclass(frozen=True)
class Pins:
    """What the artefact catalogue says that rendering needs: image references by component."""

    images: dict[str, str]

    @property
    def tags(self) -> dict[str, str]:
        """Image tags by component."""
        return {name: reference.rpartition(":")[2] for name, reference in self.images.items()}


def pins(inventory: Inventory) -> Pins:
    """The images that a lab wants, in its versions."""
    selection = load_catalogue().select(wanted(inventory))
    return Pins({item.name: image.tagged for item, image in selection.images()})


def host_context(inventory: Inventory, traits: Traits, pins: Pins, name: str) -> dict[str, Any]:
    """The values every host template may use; decisions are made here, not in templates."""
    host, roles = inventory.hosts[name], host_roles(inventory, name)
    listen = firewall.listening(inventory, name)
    return {
        "inventory": inventory,
        "name": name,
        "host": host,
        "load_balancer": inventory.load_balancer,
        "images": pins.images,
        "tags": pins.tags,
        "cri_socket": CRI_SOCKET,
        "restrict_oom_score_adj": json.dumps(traits.oom_score_restricted),
        "groups": firewall.groups(inventory, traits, listen),
        "firewall": firewall.rules(listen),
        "pods": firewall.pod_traffic(inventory, name),
        "units": [unit.name for unit in _units(roles, traits)],
        "clients": clients(inventory),
    }


def bundle(inventory: Inventory, traits: Traits, pins: Pins, name: str) -> Bundle:
    """Everything that host `name` must be."""
    roles = host_roles(inventory, name)
    brought = tuple(role for role in roles if isinstance(role, AddOnRole))
    listen = firewall.listening(inventory, name)
    addons = selected(inventory) if name in inventory.nodes else ()
    sysctls = _sysctls(roles, traits)
    modules = () if traits.shares_kernel else _union(role.modules for role in roles)
    context = host_context(inventory, traits, pins, name)
    by_role = [(role, _files(inventory, traits, role, name, context)) for role in roles]
    files = [_with_parts(inventory, file, brought, context) for _, found in by_role for file in found]
    rendered = [
        (role, [file.path for file in found]) for role, found in by_role if isinstance(role, AddOnRole)
    ]
    files += [File(path, text, "root:root", "0644", ()) for path, text in record.records(rendered)]
    of_addons = (*(item for role in brought for item in role.binaries), *_programs(inventory, name))
    for file in files:
        if file.path == firewall.FILE:
            firewall.guard(name, file.text, listen)
    files.append(_lines(SYSCTL_FILE, [f"{key} = {value}" for key, value in sysctls.items()]))
    files.append(_lines(MODULES_FILE, list(modules)))
    return Bundle(
        host=name,
        files=tuple(files),
        packages=_union(role.packages for role in roles),
        modules=modules,
        sysctls=sysctls,
        units=_units(roles, traits),
        binaries=(
            *(item for role in roles if role not in brought for item in role.binaries),
            *of_addons,
        ),
        of_addons=of_addons,
        certificates=certificates(inventory, brought, name),
        listen=listen,
        closed=firewall.closed(inventory, name),
        operators=firewall.operators(inventory, traits),
        owned=(
            *(item.path.format(item="*") for role in roles for item in role.files if item.each),
            record.PATTERN,
        ),
        modes=(
            *(item for role in brought for item in rights(role)),
            *(item for role in roles for item in role.modes),
            *(item for addon in addons for item in addon.on_hosts.modes),
        ),
        folders=tuple(item for role in roles for item in role.folders),
        by_pods=tuple(path for addon in addons for path in addon.on_hosts.files),
        kubelet=kubelet_settings(inventory, traits) if name in inventory.nodes else {},
        pod_interfaces=pod_interfaces(inventory) if name in inventory.nodes else (),
        time_zone=_time_zone(inventory, roles, name),
        kernel_options=tuple(option for role in roles for option in role.kernel_options),
        module_packages=_union(role.module_packages for role in roles),
    )


def _files(
    inventory: Inventory, traits: Traits, role: Role, name: str, context: dict[str, Any]
) -> list[File]:
    """The files of one of a host's roles, rendered; those of an add-on know its section."""
    own = _own(inventory, role)
    return [
        File(path, render(item.template, **context, **own, **more), item.owner, item.mode, item.on_change)
        for item in role.files
        if not item.os or inventory.hosts[name].os in item.os
        if not (item.full_machines_only and traits.shares_kernel)
        for path, more in _instances(inventory, item)
    ]


def _own(inventory: Inventory, role: Role) -> dict[str, Any]:
    """What the templates of a role know besides: those of an add-on its section, and what that adds."""
    if not isinstance(role, AddOnRole):
        return {}
    addon = next(item for item in selected(inventory) if item.name == role.name)
    return {"section": getattr(inventory, role.section, None), **values_on_machines(inventory, addon)}


def _with_parts(
    inventory: Inventory, file: File, roles: Iterable[AddOnRole], context: dict[str, Any]
) -> File:
    """A file with what add-ons put at its end."""
    texts = [
        render(part.template, **context, **_own(inventory, role))
        for role in roles
        for part in role.parts
        if part.path == file.path
    ]
    return replace(file, text="".join([file.text, *texts])) if texts else file


def _sysctls(roles: tuple[Role, ...], traits: Traits) -> dict[str, str]:
    """The kernel settings of a host's roles; those of a shared kernel are not a container's."""
    return {
        key: value
        for role in roles
        for key, value in sorted(role.sysctls.items())
        if not (traits.shares_kernel and _is_the_hosts(roles, key))
    }


def _units(roles: tuple[Role, ...], traits: Traits) -> tuple[Unit, ...]:
    return tuple(
        unit
        for role in roles
        for unit in role.units
        if not (unit.full_machines_only and traits.shares_kernel)
    )


def _time_zone(inventory: Inventory, roles: tuple[Role, ...], name: str) -> str:
    ours = inventory.makes(name) or is_raspberry_pi(inventory.hosts[name])
    return next((role.time_zone for role in roles if role.time_zone), "") if ours else ""


def _programs(inventory: Inventory, name: str) -> Iterator[RoleBinary]:
    """The programs that add-ons want on a node."""
    for addon in selected(inventory) if name in inventory.nodes else ():
        for item in addon.on_hosts.programs:
            yield RoleBinary(artifact=item.artifact, path=item.path)


def _instances(inventory: Inventory, item: RoleFile) -> list[tuple[str, dict[str, str]]]:
    """Path and own values of each file that a role's entry stands for."""
    if not item.each:
        return [(item.path, {})]
    if item.each == "patient_pods":
        seconds = str(static_pod_seconds(inventory))
        pods = STATIC_PODS if inventory.patience != 1 else ()
        return [(item.path.format(item=pod), {"item": pod, "seconds": seconds}) for pod in pods]
    return [
        (item.path.format(item=registry), {"item": registry, "registry_server": registry_server(registry)})
        for registry in inventory.containerd.mirrors
    ]


def registry_server(registry: str) -> str:
    """Where a registry itself is reached; Docker Hub's name is not that of its server."""
    return "https://registry-1.docker.io" if registry == "docker.io" else f"https://{registry}"


def _is_the_hosts(roles: tuple[Role, ...], sysctl: str) -> bool:
    return any(role.sysctl_is_the_hosts(sysctl) for role in roles)


def _union(groups: Any) -> tuple[str, ...]:
    return tuple(sorted({item for group in groups for item in group}))


def _lines(path: str, lines: list[str]) -> File:
    return File(path, "".join(f"{line}\n" for line in lines), "root:root", "0644", ())
