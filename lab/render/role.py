"""What a role says: pure data, of the platform (`roles/`) or of an add-on (`addons/NAME/host.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from lab.addons.model import Data, DeclaredPort, Label, Listen, Rights
from lab.inventory.hardware import is_raspberry_pi
from lab.inventory.models import Host, HostRole

Action = Annotated[
    str,
    StringConstraints(pattern=r"^(daemon-reload|(re|try-re)?(load|start) [a-z0-9@-]+(\.(socket|timer))?)$"),
]
"""What to do when a file changes: daemon-reload, or reload, restart, try-restart of a unit; a service has no
ending here."""
OwnFolder = Annotated[str, StringConstraints(pattern=r"^(/[\w-]+){3,}$")]
"""A folder deep enough to be somebody's own: it is removed whole."""
UnitName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9@._-]+\.(service|socket|timer)$")]


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


class RolePart(Data):
    """Text that is put at the end of a file which another role of the same machine has."""

    path: str
    template: str


class RoleCertificate(Data):
    """A server's key, which is made on the machine and stays there, and its certificate of the lab's CA.

    `folder` gets `tls.key` (0600), `tls.crt` and `ca.crt`, the CA that clients of the lab are judged by. The
    certificate is for HOST.DOMAIN and NAME.DOMAIN, where `name` is the service's.
    """

    name: Label
    folder: OwnFolder
    on_change: tuple[Action, ...] = ()


class Unit(Data):
    """A systemd unit that is enabled and, unless kubeadm starts it, running."""

    name: UnitName
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
    """A port that listens, from a machine's first boot or from kubeadm on.

    With `address: lan` it listens on the machine's address in the LAN alone: the same number may be that of
    another program on loopback.
    """

    after: Literal["boot", "kubeadm"] = "boot"
    address: Literal["any", "lan"] = "any"


class Role(Data):
    """One role file, or one role of an add-on's."""

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


ROLES_ALONE = (*("time_zone", "modules", "sysctls", "host_sysctls", "kernel_options", "module_packages"),)
"""What only the platform's roles may say: nobody could take it back when an add-on leaves."""


class AddOnRole(Role):
    """A role that an add-on brings; everything that it makes goes when the add-on leaves the inventory.

    Packages stay: others may need them by then, and nothing of them runs without a unit of the role.
    `name` is the add-on's, and the paths of templates are as `render` takes them: the loader writes both.
    """

    name: str = ""
    section: str = ""
    """The add-on's section of the inventory, which its templates know; written by the loader."""
    parts: tuple[RolePart, ...] = ()
    certificates: tuple[RoleCertificate, ...] = ()
    made: tuple[OwnFolder, ...] = ()
    """Folders that its units make and fill."""

    @model_validator(mode="after")
    def _can_be_taken_back(self) -> AddOnRole:
        wrong = [key for key in (*ROLES_ALONE, "name", "section") if key in self.model_fields_set]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: is for roles/ alone")
        return self


class HostFile(Data):
    """An add-on's host.yaml."""

    roles: tuple[AddOnRole, ...] = Field(min_length=1)
