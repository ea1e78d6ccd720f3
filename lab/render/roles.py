"""Roles: what a host must be. One YAML file a role, pure data; what the cluster must be besides are add-ons,
which may bring roles of hosts of their own.

From the same data come the host's first boot, its convergence and its checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from lab.addons import AddOn, addons, selected
from lab.addons.load import HOST_FILE
from lab.catalogue.load import load_catalogue
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.own_yaml import load
from lab.render.role import AddOnRole, HostFile, Role

ROLES = Path(__file__).parents[2] / "roles"
TEMPLATES = ROLES.with_name("templates")

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


@cache
def addon_roles() -> Mapping[str, tuple[AddOnRole, ...]]:
    """The roles that add-ons bring, by the add-on's name. Raises `InputError` with all that is wrong."""
    found: dict[str, tuple[AddOnRole, ...]] = {}
    problems: list[str] = []
    for addon in addons():
        if not addon.has(HOST_FILE):
            continue
        try:
            roles = load(addon.folder / HOST_FILE, HostFile).roles
        except InputError as error:
            problems.append(error.message)
            continue
        problems += _faults(addon, roles)
        found[addon.name] = tuple(_placed(addon, role) for role in roles)
    if problems:
        raise InputError("\n".join(problems), next_step="correct the file, or: git checkout -- addons")
    return found


def _faults(addon: AddOn, roles: tuple[AddOnRole, ...]) -> Iterator[str]:
    """What an add-on's roles name and nobody has."""
    place = f"addons/{addon.folder.name}/{HOST_FILE}"
    known = {item.path for role in load_roles() for item in role.files}
    for role in roles:
        for item in role.binaries:
            if item.artifact not in load_catalogue().program_names:
                yield f"{place}: binaries: {item.artifact}: no catalogue.yaml has such a program"
        wanted = [(item.path, item.template) for item in role.files]
        for path, template in (*wanted, *((item.path, item.template) for item in role.parts)):
            if not addon.has(f"host/{template}.j2"):
                yield f"{place}: {path}: there is no host/{template}.j2 beside it"
        for part in role.parts:
            if part.path not in known:
                yield f"{place}: parts: {part.path}: no role of roles/ has such a file"


def _placed(addon: AddOn, role: AddOnRole) -> AddOnRole:
    """The role with what only its add-on knows: its name, its section and where its templates lie."""

    def template(name: str) -> dict[str, str]:
        return {"template": f"addons/{addon.folder.name}/host/{name}"}

    files = tuple(item.model_copy(update=template(item.template)) for item in role.files)
    parts = tuple(item.model_copy(update=template(item.template)) for item in role.parts)
    own = {"name": addon.name, "section": addon.section, "files": files, "parts": parts}
    return role.model_copy(update=own)


def host_roles(inventory: Inventory, name: str) -> tuple[Role, ...]:
    """The roles of a machine: the platform's, then those of the lab's add-ons."""
    host, brought = inventory.hosts[name], addon_roles()
    of_addons = (role for addon in selected(inventory) for role in brought.get(addon.name, ()))
    return tuple(role for role in (*load_roles(), *of_addons) if role.applies_to(host))


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
    """Every Debian package some role wants, any add-on's too: what the image of our own machines contains.

    Our own machines are no Raspberry Pis, whose packages are Ubuntu's.
    """
    of_addons = (role for roles in addon_roles().values() for role in roles)
    roles = (role for role in (*load_roles(), *of_addons) if role.hosts != "raspberry-pi")
    return tuple(sorted({package for role in roles for package in role.packages}))
