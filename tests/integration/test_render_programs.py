"""Every valid inventory's output, and any other's, taken by the programs that hosts run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from lab.addons import selected
from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.inventory import load
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.addons import addon_manifests, is_partial, objects
from lab.render.bundle import pins
from lab.render.outputs import host_outputs
from lab.ssh import Keys
from lab.verify import first_boot
from lab.verify.first_boot import NETWORK
from lab.verify.programs import FILE, INSIDE, CheckedPrograms
from lab.verify.schemas import Schemas
from tests.unit.inventory.table import VALID
from tests.unit.inventory.test_inventory_properties import as_yaml, inventories

IN_DEBIAN = {
    "etc/nftables.conf": "nft --file $f",
    "etc/haproxy/haproxy.cfg": "haproxy -q -c -f $f",
}
"""The programs of the hosts' root filesystem, by the end of the name of the files they judge."""
OURS = {
    "/kubeadm/": ("kubeadm", "config", "validate", "--config", FILE),
    "etc/containerd/config.toml": ("containerd", "--config", FILE, "config", "dump"),
}


@pytest.fixture(scope="module")
def programs() -> CheckedPrograms:
    return CheckedPrograms.provide(load("rehearsal"), say=print)


@pytest.fixture(scope="module")
def manifests() -> dict[str, Path]:
    lab = load("rehearsal")
    return provide_files("auto", wanted(lab), [*addon_manifests(lab), "kubernetes-openapi"], say=print)


@pytest.fixture(scope="module")
def schemas(manifests: dict[str, Path]) -> Schemas:
    lab = load("rehearsal")
    known = [item for addon in selected(lab) for item in objects(lab, addon, manifests)]
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


def judge(programs: CheckedPrograms, lab: Inventory, traits: Traits) -> None:
    """Every file of one host of each kind is judged; each program runs over all of its files in one go."""
    files: dict[str, str] = {}
    for name in one_of_each_kind(lab):
        found = dict(host_outputs(lab, traits, pins(lab), Keys(lab.lab), name))
        vendor = f"{name}/cloud-init/vendor-data"
        files |= {f"{name}/user-data" if path == vendor else path: text for path, text in found.items()}
    documents = {path: text for path, text in files.items() if path.endswith(("/user-data", NETWORK))}
    assert documents
    for path, judged in first_boot.judge(programs, documents).items():
        assert judged.done.code == 0, (path, judged.done.stdout)
        assert "deprecat" not in judged.done.stdout.lower(), (path, judged.done.stdout)
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


def test_c08_cloud_init_finds_the_bad_documents_among_good_ones(programs: CheckedPrograms) -> None:
    network = "version: 2\nethernets: {eth0: {addresses: [%s]}}\n"
    documents = {
        "one/user-data": "#cloud-config\nhostname: one\n",
        "two/user-data": "#cloud-config\nruncmd: 5\n",
        "three/user-data": "#cloud-config\nusers: [\n",
        "one/network-config": network % "10.1.1.2/24",
        "two/network-config": network % "10.1.1.2/240",
        "four/user-data": "#cloud-config\nhostname: four\n",
    }
    found = first_boot.judge(programs, documents)
    assert list(found) == list(documents)
    refused = {path: judged.done.stdout for path, judged in found.items() if judged.done.code}
    assert list(refused) == ["two/user-data", "three/user-data", "two/network-config"]
    assert "runcmd" in refused["two/user-data"]
    assert "10.1.1.2/240" in refused["two/network-config"]


@pytest.mark.parametrize("path", [*VALID, Path("production")], ids=lambda path: path.stem)
def test_c11_the_programs_take_every_valid_inventory_and_call_nothing_deprecated(
    programs: CheckedPrograms, path: Path
) -> None:
    judge(programs, load(str(path)), Traits())


# The same inventories each time, and so many that the test ends within a minute.
@settings(max_examples=12, derandomize=True, database=None, deadline=None)
@given(inventories())
def test_the_programs_and_the_api_take_any_inventory(
    programs: CheckedPrograms, manifests: dict[str, Path], schemas: Schemas, data: dict[str, Any]
) -> None:
    lab = parse(as_yaml(data), "any.yaml")
    judge(programs, lab, Traits())
    for addon in selected(lab):
        for item in objects(lab, addon, manifests):
            assert schemas.errors(item, partial=is_partial(addon)) == []
