"""Roles: what a host, or the cluster, must be. One YAML file a role, pure data.

From the same data come the host's first boot, its convergence and its checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lab.inventory.models import Host, HostRole, Inventory
from lab.own_yaml import read

ROLES = Path(__file__).parents[2] / "roles"

Action = Annotated[str, StringConstraints(pattern=r"^(daemon-reload|(re|try-re)?(load|start) [a-z0-9-]+)$")]
"""What to do when a file changes: daemon-reload, or reload, restart, try-restart of a unit."""


class Data(BaseModel):
    """Frozen; an unknown key of a role file is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    each: Literal["", "mirrors"] = ""
    """One file for each of these of the inventory; `{item}` in the path is its name."""
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


class RolePort(Data):
    """A port: a number, or the field of the inventory that holds it."""

    port: Annotated[int, Field(ge=1, le=65535)] | Literal["kubernetes.api_port", "flannel.port"]
    protocol: Literal["tcp", "udp"]


class Listen(RolePort):
    """A port that listens, and who may reach it: the firewall lets in nobody else.

    `operators` are the LAN, the management network, the networks of `ssh.networks` and those by which the
    machine's provider reaches it; nobody named means that only the host itself may.
    """

    after: Literal["boot", "kubeadm"] = "boot"
    sources: tuple[Literal["operators", "nodes", "masters"], ...] = Field(alias="from")


class AddonSecret(Data):
    """A random secret that an add-on's parts share, made on the cluster when it is missing."""

    namespace: str
    name: str
    key: str


class AddonCertificate(Data):
    """A TLS secret for the ingress' domain, signed by the lab's CA; renewed long before it ends."""

    namespace: str
    name: str


class Addon(Data):
    """The manifests of a cluster role.

    `manifest` is an artefact (upstream's own objects), `patches` a template of partial objects merged into
    it by kind, namespace and name, `objects` a template of further objects, `ready` the workloads
    (kind/namespace/name) that must be available.
    """

    manifest: str = ""
    patches: str = ""
    objects: str = ""
    secrets: tuple[AddonSecret, ...] = ()
    certificates: tuple[AddonCertificate, ...] = ()
    ready: tuple[str, ...]


class Role(Data):
    """One role file."""

    name: str
    hosts: Literal["all", "nodes", "control-plane", "worker", "load-balancer", "raspberry-pi", "cluster"]
    part: Literal["", "ingress"] = ""
    """Section of the inventory that makes a cluster role a part of the lab; empty: of every lab."""
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
    listen: tuple[Listen, ...] = ()
    closed: tuple[RolePort, ...] = ()
    addon: Addon | None = None

    def applies_to(self, host: Host) -> bool:
        """Whether a machine of the inventory has this role."""
        if self.hosts == "nodes":
            return host.role is not HostRole.LOAD_BALANCER
        if self.hosts == "raspberry-pi":
            return host.hardware.startswith("raspberry-pi")
        return self.hosts in ("all", host.role.value)

    def sysctl_is_the_hosts(self, name: str) -> bool:
        """Whether a container cannot set this sysctl, because it shares it with its host."""
        return any(fnmatch(name, pattern) for pattern in self.host_sysctls)


ORDER = (
    *("base", "time", "raspberry-pi", "kubernetes", "control-plane", "worker", "load-balancer"),
    *("coredns", "flannel", "metallb", "traefik"),
)
"""The order in which roles are applied; a role file that is not named here is not part of the platform."""


@cache
def load_roles() -> tuple[Role, ...]:
    """All roles in their order. Raises `pydantic.ValidationError` for a role file that is not one of ours."""
    return tuple(Role.model_validate(read((ROLES / f"{name}.yaml").read_text())) for name in ORDER)


def host_roles(inventory: Inventory, name: str) -> tuple[Role, ...]:
    """The roles of a machine."""
    host = inventory.hosts[name]
    return tuple(role for role in load_roles() if role.hosts != "cluster" and role.applies_to(host))


def addons(inventory: Inventory) -> tuple[Role, ...]:
    """The cluster roles of a lab, in the order in which they are applied."""
    return tuple(
        role
        for role in load_roles()
        if role.addon is not None and (not role.part or getattr(inventory, role.part) is not None)
    )


def all_packages() -> tuple[str, ...]:
    """Every Debian package some role wants: what the image of our own machines contains.

    Our own machines are no Raspberry Pis, whose packages are Ubuntu's.
    """
    roles = (role for role in load_roles() if role.hosts != "raspberry-pi")
    return tuple(sorted({package for role in roles for package in role.packages}))
