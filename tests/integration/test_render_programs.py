"""Every valid inventory's output, and any other's, taken by the programs that hosts run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from lab.artifacts.manifests import provide_manifests
from lab.inventory import load
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.providers.base import Traits
from lab.render.addons import addon_manifests, objects
from lab.render.bundle import pins
from lab.render.outputs import host_outputs
from lab.render.roles import addons
from lab.ssh import Keys
from lab.verify.programs import FILE, INSIDE, Programs
from lab.verify.schemas import Schemas
from tests.unit.inventory.table import VALID
from tests.unit.inventory.test_inventory_properties import as_yaml, inventories

IN_DEBIAN = {
    "etc/nftables.conf": "nft --file $f",
    "etc/haproxy/haproxy.cfg": "haproxy -q -c -f $f",
    "user-data": "cloud-init schema --config-file $f",
}
"""The programs of the hosts' root filesystem, by the end of the name of the files they judge."""
OURS = {
    "/kubeadm/": ("kubeadm", "config", "validate", "--config", FILE),
    "etc/containerd/config.toml": ("containerd", "--config", FILE, "config", "dump"),
}


@pytest.fixture(scope="module")
def programs() -> Programs:
    return Programs.provide(say=print)


@pytest.fixture(scope="module")
def manifests() -> dict[str, Path]:
    return provide_manifests("auto", [*addon_manifests(load("rehearsal")), "kubernetes-openapi"], say=print)


@pytest.fixture(scope="module")
def schemas(manifests: dict[str, Path]) -> Schemas:
    lab = load("rehearsal")
    known = [item for role in addons(lab) if role.addon for item in objects(lab, role.addon, manifests)]
    return Schemas.load(manifests["kubernetes-openapi"], known)


@pytest.fixture(autouse=True, scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLUMBLINE_DATA", str(tmp_path_factory.mktemp("data")))
        yield


def one_of_each_kind(lab: Inventory) -> list[str]:
    """The first host of each role, and of each hardware."""
    kinds = {(host.role, host.hardware): name for name, host in reversed(list(lab.hosts.items()))}
    return list(kinds.values())


def judge(programs: Programs, lab: Inventory, traits: Traits) -> None:
    """Every file of one host of each kind is judged; each program runs over all of its files in one go."""
    files: dict[str, str] = {}
    for name in one_of_each_kind(lab):
        found = dict(host_outputs(lab, traits, pins(), Keys(lab.lab), name))
        vendor = f"{name}/proxmox/plumbline-{lab.lab}-{name}.yaml"
        files |= {f"{name}/user-data" if path == vendor else path: text for path, text in found.items()}
    for end, command in IN_DEBIAN.items():
        mine = {path: text for path, text in files.items() if path.endswith(end)}
        assert mine, end
        numbered = {str(number): text for number, text in enumerate(mine.values())}
        done = programs.in_debian(["sh", "-ec", f"for f in {INSIDE}/*; do {command}; done"], numbered)
        assert done.code == 0, (list(mine), done.stdout + done.stderr)
    for part, (program, *words) in OURS.items():
        for path, text in files.items():
            if part in path:
                done = programs.over_file([str(getattr(programs, program)), *words], text)
                assert done.code == 0, (path, done.stdout + done.stderr)


@pytest.mark.parametrize("path", [*VALID, Path("production")], ids=lambda path: path.stem)
def test_the_programs_take_every_valid_inventory(programs: Programs, path: Path) -> None:
    judge(programs, load(str(path)), Traits())


# The same inventories each time, and so many that the test ends within a minute.
@settings(max_examples=12, derandomize=True, database=None, deadline=None)
@given(inventories())
def test_the_programs_and_the_api_take_any_inventory(
    programs: Programs, manifests: dict[str, Path], schemas: Schemas, data: dict[str, Any]
) -> None:
    lab = parse(as_yaml(data), "any.yaml")
    judge(programs, lab, Traits())
    for role in addons(lab):
        if role.addon:
            partial = bool(role.addon.patches) and not role.addon.manifest
            for item in objects(lab, role.addon, manifests):
                assert schemas.errors(item, partial=partial) == []
