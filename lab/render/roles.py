"""Roles: what a host must be. One YAML file a role, pure data; what the cluster must be besides are add-ons.

From the same data come the host's first boot, its convergence and its checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from lab.addons.model import Data, DeclaredPort, Listen, Rights
from lab.catalogue.load import load_catalogue
from lab.errors import InputError
from lab.inventory.hardware import is_raspberry_pi
from lab.inventory.models import Host, HostRole, Inventory
from lab.own_yaml import load

ROLES = Path(__file__).parents[2] / "roles"
TEMPLATES = ROLES.with_name("templates")

Action = Annotated[str, StringConstraints(pattern=r"^(daemon-reload|(re|try-re)?(load|start) [a-z0-9-]+)$")]
"""What to do when a file changes: daemon-reload, or reload, restart, try-restart of a unit."""


class RoleFile(Data):
    """A file of the host, from a template."""

    path: str
    template: str
    owner: str = "root:root"
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")] = "0644"
    os: tuple[str, ...] = ()
    """Only on these operating systems; empty: on all."""
    full_machines_only: bool = False
    """Not in a container, which has no such task of its own."""
    each: Literal["", "mirrors", "patient_pods"] = ""
    """One file for each of these of the inventory; `{item}` in the path is its name. Patient pods are the
    static pods of a lab whose patience is not 1."""
    on_change: tuple[Action, ...] = ()


class RoleBinary(Data):
    """An artefact installed at a path, mode 0755; `on_change` where it is brought to a machine that runs."""

    artifact: str
    path: str
    on_change: tuple[Action, ...] = ()


class Unit(Data):
    """A systemd unit that is enabled and, unless kubeadm starts it, running."""

    name: str
    started_by: Literal["boot", "kubeadm"] = "boot"
    full_machines_only: bool = False
    """Not in a container, which has no such task of its own."""


class RoleFolder(Data):
    """Files that a program takes one and all, because they match a pattern.

    What the roles render, what add-ons declare, and what matches `allowed` belongs there. With `packages`
    also what a package brought, as it came. A folder that is `shared` is read for others, too: on a machine
    whose root is not of our making its owner's files are left alone, and judged by what they do to us.
    """

    path: Annotated[str, StringConstraints(pattern=r"^/")]
    read_by: str
    allowed: tuple[str, ...] = ()
    packages: bool = True
    shared: bool = False


class RoleListen(Listen):
    """A port that listens, from a machine's first boot or from kubeadm on."""

    after: Literal["boot", "kubeadm"] = "boot"


class Role(Data):
    """One role file."""

    name: str
    hosts: Literal["all", "nodes", "control-plane", "worker", "load-balancer", "raspberry-pi"]
    time_zone: Literal["", "Etc/UTC"] = ""
    """Of machines that we make or seed; that of a machine which exists is its owner's."""
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = Field(default_factory=dict)
    host_sysctls: tuple[str, ...] = ()
    binaries: tuple[RoleBinary, ...] = ()
    files: tuple[RoleFile, ...] = ()
    kernel_options: tuple[str, ...] = ()
    """Options of a Raspberry Pi's kernel command line."""
    module_packages: tuple[str, ...] = ()
    """Packages that hold kernel modules on some releases: installed where a module is missing."""
    units: tuple[Unit, ...] = ()
    modes: tuple[Rights, ...] = ()
    folders: tuple[RoleFolder, ...] = ()
    listen: tuple[RoleListen, ...] = ()
    closed: tuple[DeclaredPort, ...] = ()

    def applies_to(self, host: Host) -> bool:
        """Whether a machine of the inventory has this role."""
        if self.hosts == "nodes":
            return host.role is not HostRole.LOAD_BALANCER
        if self.hosts == "raspberry-pi":
            return is_raspberry_pi(host)
        return self.hosts in ("all", host.role.value)

    def sysctl_is_the_hosts(self, name: str) -> bool:
        """Whether a container cannot set this sysctl, because it shares it with its host."""
        return any(fnmatch(name, pattern) for pattern in self.host_sysctls)


ORDER = ("base", "time", "raspberry-pi", "kubernetes", "control-plane", "worker", "load-balancer")
"""The order in which roles are applied; a role file that is not named here is not part of the platform."""


@cache
def load_roles() -> tuple[Role, ...]:
    """All roles in their order. Raises `InputError` with all that is wrong, a file more among it."""
    found: list[Role] = []
    problems = [
        f"roles/{path.name}: is no role that is known; there are: {', '.join(ORDER)}"
        for path in sorted(ROLES.glob("*"))
        if path.name not in {f"{name}.yaml" for name in ORDER} and path.suffix in (".yaml", ".yml")
    ]
    for name in ORDER:
        try:
            role = load(ROLES / f"{name}.yaml", Role)
        except InputError as error:
            problems.append(error.message)
            continue
        if role.name != name:
            problems.append(f"roles/{name}.yaml: name: {role.name}: must be {name}, as the file")
        found.append(role)
        problems += [
            f"roles/{name}.yaml: binaries: {item.artifact}: no catalogue.yaml has such a program"
            for item in role.binaries
            if item.artifact not in load_catalogue().program_names
        ]
        problems += [
            f"roles/{name}.yaml: files: {item.template}: there is no templates/{item.template}.j2"
            for item in role.files
            if not (TEMPLATES / f"{item.template}.j2").is_file()
        ]
    if problems:
        raise InputError("\n".join(problems), next_step="correct the file, or: git checkout -- roles")
    return tuple(found)


def host_roles(inventory: Inventory, name: str) -> tuple[Role, ...]:
    """The roles of a machine."""
    host = inventory.hosts[name]
    return tuple(role for role in load_roles() if role.applies_to(host))


def port_number(name: str) -> int:
    """Number of the port that a role declares under a name, such as `etcd`, the same in every lab.

    Raises `LookupError` when none does, or where the inventory chooses the number.
    """
    for role in load_roles():
        for item in (*role.listen, *role.closed):
            if item.name == name and isinstance(item.port, int):
                return item.port
    raise LookupError(f"{name}: no role declares such a port with a number of its own")


def all_packages() -> tuple[str, ...]:
    """Every Debian package some role wants: what the image of our own machines contains.

    Our own machines are no Raspberry Pis, whose packages are Ubuntu's.
    """
    roles = (role for role in load_roles() if role.hosts != "raspberry-pi")
    return tuple(sorted({package for role in roles for package in role.packages}))
