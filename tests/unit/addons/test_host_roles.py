"""An add-on's roles of machines: read, placed, and refused with file and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lab.addons import AddOn, addons
from lab.errors import InputError
from lab.render.role import ROLES_ALONE, AddOnRole
from lab.render.roles import addon_roles

ROLE = "roles: [{hosts: all, files: [{path: /etc/toy/toy.conf, template: toy.conf}]}]\n"


def toy(folder: Path, text: str = ROLE) -> AddOn:
    """An add-on that is a role of machines and nothing else."""
    (folder / "toy" / "host").mkdir(parents=True)
    (folder / "toy" / "addon.yaml").write_text("title: Toy\n")
    (folder / "toy" / "host.yaml").write_text(text)
    (folder / "toy" / "host" / "toy.conf.j2").write_text("{{ name }}\n")
    return next(iter(addons.__wrapped__(folder)))


def roles_of(item: AddOn, monkeypatch: pytest.MonkeyPatch) -> tuple[AddOnRole, ...]:
    monkeypatch.setattr("lab.render.roles.addons", lambda: (item,))
    return addon_roles.__wrapped__()[item.name]


def test_an_add_on_may_be_a_role_of_machines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = toy(tmp_path)
    assert not item.in_cluster
    (role,) = roles_of(item, monkeypatch)
    assert (role.name, role.files[0].template) == ("toy", "addons/toy/host/toy.conf")


def test_what_has_neither_objects_nor_roles_is_no_add_on(tmp_path: Path) -> None:
    toy(tmp_path)
    (tmp_path / "toy" / "host.yaml").unlink()
    with pytest.raises(InputError, match="brings no object and no role of machines"):
        addons.__wrapped__(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title: Toy\n", "namespaces: is missing, and it has objects"),
        ("title: Toy\nnamespaces: [toy]\n", "ready: is missing, and it has objects"),
    ],
)
def test_objects_have_a_namespace_and_something_to_wait_for(tmp_path: Path, text: str, says: str) -> None:
    toy(tmp_path)
    (tmp_path / "toy" / "objects.yaml.j2").touch()
    (tmp_path / "toy" / "addon.yaml").write_text(text)
    with pytest.raises(InputError, match=f"addons/toy/addon.yaml: {says}"):
        addons.__wrapped__(tmp_path)


def test_a_namespace_without_objects_is_refused(tmp_path: Path) -> None:
    toy(tmp_path)
    (tmp_path / "toy" / "addon.yaml").write_text("title: Toy\nnamespaces: [toy]\n")
    with pytest.raises(InputError, match="namespaces: toy: it has no object there"):
        addons.__wrapped__(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            ROLE.replace("template: toy.conf", "template: other"),
            "/etc/toy/toy.conf: there is no host/other.j2",
        ),
        (
            "roles: [{hosts: all, binaries: [{artifact: toyd, path: /usr/local/bin/toyd}]}]\n",
            "binaries: toyd: no",
        ),
        (
            "roles: [{hosts: all, parts: [{path: /etc/none, template: toy.conf}]}]\n",
            "parts: /etc/none: no role of roles/ has such a file",
        ),
        ("roles: []\n", "roles: Tuple should have at least 1 item"),
        ("hosts: all\n", "hosts: Extra inputs are not permitted"),
        ("roles: [{hosts: all, sysctls: {vm.swappiness: '1'}}]\n", "sysctls: is for roles/ alone"),
        ("roles: [{hosts: all, name: base}]\n", "name: is for roles/ alone"),
        ("roles: [{hosts: all, units: [{name: toy}]}]\n", "units.0.name: String should match"),
        ("roles: [{hosts: all, made: [/var/lib]}]\n", "made.0: String should match"),
    ],
)
def test_what_a_role_says_wrongly_is_told_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    item = toy(tmp_path, text)
    with pytest.raises(InputError) as error:
        roles_of(item, monkeypatch)
    assert "toy/host.yaml" in error.value.message
    assert says in error.value.message


@pytest.mark.parametrize("key", ROLES_ALONE)
def test_what_nobody_could_take_back_is_for_the_platforms_roles_alone(key: str) -> None:
    values: dict[str, Any] = {"time_zone": "Etc/UTC", "sysctls": {"a": "1"}}
    with pytest.raises(ValidationError, match=f"{key}: is for roles/ alone"):
        AddOnRole.model_validate({"hosts": "all", key: values.get(key, ["x"])})


@pytest.mark.parametrize(
    "action", ["restart toy.socket", "try-restart toy@7.socket", "restart toy.timer", "reload toy"]
)
def test_sockets_and_timers_are_named_with_their_ending(action: str) -> None:
    file = {"path": "/x", "template": "t", "on_change": [action]}
    assert AddOnRole.model_validate({"hosts": "all", "files": [file]}).files[0].on_change == (action,)


def test_every_template_of_a_role_is_used() -> None:
    roles = [role for found in addon_roles().values() for role in found]
    used = {f"{item.template}.j2" for role in roles for item in role.files}
    used |= {f"{item.template}.j2" for role in roles for item in role.parts}
    there = {
        f"addons/{item.folder.name}/host/{path.name}"
        for item in addons()
        for path in item.folder.glob("host/*")
    }
    assert there == used
