"""An add-on is its folder: laid into a checkout it is known everywhere, and taken out it is gone.

No other file of the checkout is touched. The commands are run as people run them, in a copy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "fixtures" / "addons" / "toy"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".lab", ".hypothesis", "__pycache__", "*_cache")
GENERATED = ("inventory/schema.json", "docs/inventory.md", "docs/verify-index.md")
INVENTORY = """\
lab: toy-proof
provider: lxc
disposable: true
network: {lan: 10.1.1.0/24, gateway: 10.1.1.1}
metallb: {pools: [{name: default, addresses: [10.1.1.100-10.1.1.150]}]}
hosts:
  haproxy: {role: load-balancer, address: 10.1.1.50}
  master-1: {role: control-plane, address: 10.1.1.11}
  master-2: {role: control-plane, address: 10.1.1.12}
  master-3: {role: control-plane, address: 10.1.1.13}
  worker-1: {role: worker, address: 10.1.1.31}
  worker-2: {role: worker, address: 10.1.1.32}
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of this checkout, and a folder for what commands keep outside of it."""

    folder: Path
    data: Path

    def run(self, *argv: str, code: int = 0) -> str:
        """What a command says; it must end with `code`."""
        done = subprocess.run(
            [sys.executable, "-m", *argv],
            cwd=self.folder,
            env={**os.environ, "PLUMBLINE_DATA": str(self.data), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{' '.join(argv)}: {done.returncode}: {said[-3000:]}"
        assert "Traceback" not in said
        return said

    def invoke(self, *argv: str, code: int = 0) -> str:
        """What `invoke` says about the lab of this test."""
        return self.run("invoke", *argv, "-i", "inventory/toy-proof.yaml", code=code)

    def generated(self) -> dict[str, str]:
        """The generated files."""
        return {name: (self.folder / name).read_text() for name in GENERATED}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The toy's folder is in it, and an inventory that asks for it; nothing else differs from this one."""
    folder = tmp_path_factory.mktemp("toy") / "checkout"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, symlinks=True)
    shutil.copytree(TOY, folder / "addons" / "toy", ignore=LEFT_OUT)
    (folder / "inventory" / "toy-proof.yaml").write_text(f"{INVENTORY}toy: {{greeting: hello, stores: 2}}\n")
    return Checkout(folder, folder.parent / "data")


@pytest.fixture
def without_the_toy(checkout: Checkout) -> Iterator[Checkout]:
    """The same after its folder went; it comes back."""
    folder, aside = checkout.folder / "addons" / "toy", checkout.folder.parent / "aside"
    folder.rename(aside)
    yield checkout
    aside.rename(folder)


def test_validate_takes_its_section_and_judges_it_by_its_own_rule(checkout: Checkout) -> None:
    assert "no errors" in checkout.invoke("validate")
    bad = checkout.folder / "addons" / "toy" / "fixtures" / "invalid" / "toy-invalid.yaml"
    said = checkout.run("invoke", "validate", "-i", str(bad), code=2)
    assert "toy.stores: 3: wants as many workers, and there are 2; write 2" in said


def test_show_prints_what_it_says_of_itself(checkout: Checkout) -> None:
    said = checkout.invoke("show")
    assert "CoreDNS, Flannel, MetalLB, Toy" in said
    assert "says hello" in said


def test_render_writes_its_objects_from_its_own_values(checkout: Checkout) -> None:
    checkout.invoke("render")
    rendered = checkout.folder / ".lab" / "toy-proof" / "runs" / "last" / "rendered" / "cluster" / "toy.yaml"
    items = list(yaml.safe_load_all(rendered.read_text()))
    by_kind = {item["kind"]: item for item in items}
    assert by_kind["Namespace"]["metadata"]["labels"]["greeting"] == "HELLO"
    assert by_kind["StatefulSet"]["spec"]["replicas"] == 2
    assert by_kind["Job"]["spec"]["template"]["spec"]["containers"][0]["command"][1] == "await"


def test_the_plan_applies_it(checkout: Checkout) -> None:
    said = checkout.invoke("plan", code=10)  # there is something to do
    assert "apply add-on toy" in said


def test_the_generated_pages_and_the_schema_know_it(checkout: Checkout) -> None:
    before = checkout.generated()
    checkout.run("invoke", "docs")
    after = checkout.generated()
    assert '"greeting"' in after["inventory/schema.json"]
    assert "## `toy`" in after["docs/inventory.md"]
    assert "Every store has a worker of its own." in after["docs/inventory.md"]
    assert "| P0-90 | the toy has the inventory's greeting | `test_00_render_toy.py`" in after[GENERATED[2]]
    assert all(before[name] != after[name] for name in GENERATED)


def test_its_check_is_green_and_its_defect_is_caught(checkout: Checkout) -> None:
    said = checkout.invoke("verify", "--layer", "render", "--select", "P0-90")
    assert "render: 1 passed" in said
    said = checkout.invoke("selftest", "--select", "toy-greets-otherwise")
    assert "1 of 1 caught and undone" in said


def test_selftest_lists_its_defects(checkout: Checkout) -> None:
    for name in ("toy-greets-otherwise", "toy-without-stores"):
        said = checkout.invoke("selftest", "--select", name[:-1], code=2)
        assert name in re.findall(r"[a-z-]+", said)


def test_the_tests_of_the_checkout_find_its_fixtures_rows_and_files(checkout: Checkout) -> None:
    tests = ("tests/unit/inventory/test_inventory_fixtures.py", "tests/unit/verify/test_index.py")
    own = checkout.run("pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "toy or index or rows")
    assert "failed" not in own
    listed = checkout.run("pytest", "--collect-only", "-q", "-p", "no:cacheprovider", tests[0], "-k", "toy")
    assert "[toy-invalid]" in listed
    assert "[toy-valid]" in listed


def test_without_its_folder_nothing_knows_it(without_the_toy: Checkout) -> None:
    said = without_the_toy.invoke("validate", code=2)
    assert "toy: unknown key" in said
    without_the_toy.run("invoke", "docs")
    mine = {name: (ROOT / name).read_text() for name in GENERATED}
    assert without_the_toy.generated() == mine


def test_what_left_the_inventory_is_removed_from_a_cluster_though_its_folder_is_gone(
    checkout: Checkout,
) -> None:
    """One cluster: with the toy, without its section, and without its folder, when it is removed."""
    cluster, folder = checkout.data / "cluster", checkout.folder / "addons" / "toy"
    cluster.mkdir(parents=True)
    wanted, without, kept = (cluster / name for name in ("with.yaml", "without.yaml", "objects.json"))
    wanted.write_text(f"{INVENTORY}toy: {{greeting: hello, stores: 2}}\n")
    without.write_text(INVENTORY)

    def lab(action: str, file: Path, *words: str, code: int = 0) -> str:
        return checkout.run("tests.kept_cluster", str(cluster), action, str(file), *words, code=code)

    def held() -> dict[str, object]:
        return {path: item for path, item in json.loads(kept.read_text()).items() if "toy" in path}

    lab("build", wanted)
    assert len(held()) == 4
    assert lab("plan", wanted) == ""
    told = lab("plan", without)
    assert told.splitlines() == [
        f"remove-toy: remove {item}, which the inventory no longer names"
        for item in ("Job/toy/setup", "StatefulSet/toy/store", "Service/toy/store", "Namespace/toy")
    ]
    claim = "/api/v1/namespaces/toy/persistentvolumeclaims/data-store-0"
    data = {"kind": "PersistentVolumeClaim", "metadata": {"name": "data-store-0", "namespace": "toy"}}
    aside = checkout.folder.parent / "aside"
    folder.rename(aside)
    try:
        assert lab("plan", without) == told
        kept.write_text(json.dumps(json.loads(kept.read_text()) | {claim: data}))
        said = lab("build", without, code=3)
        assert "Namespace/toy: holds PersistentVolumeClaim/toy/data-store-0, which is not ours" in said
        assert len(held()) == 5
        lab("build", without, "toy")
        assert held() == {claim: data}, "it would go with its namespace, which this API does not play"
        assert lab("plan", without) == ""
    finally:
        aside.rename(folder)


def test_an_add_on_of_the_platform_goes_with_its_folder(without_the_toy: Checkout) -> None:
    """Traefik's: its section, checks, rows and defects are in the folder and nowhere else."""
    folder, aside = without_the_toy.folder / "addons" / "traefik", without_the_toy.folder.parent / "traefik"
    folder.rename(aside)
    path = without_the_toy.folder / "inventory" / "toy-proof.yaml"
    wanted = path.read_text()
    path.write_text(INVENTORY)
    try:
        assert "CoreDNS, Flannel, MetalLB " in without_the_toy.invoke("show")
        without_the_toy.invoke("render")
        assert "traefik" not in without_the_toy.invoke("plan", code=10)
        without_the_toy.run("pytest", "-q", "-p", "no:cacheprovider", "tests/unit/verify/test_index.py")
        said = without_the_toy.invoke("load", code=2)
        assert "ingress: no add-on of the inventory provides one" in said
    finally:
        path.write_text(wanted)
        aside.rename(folder)
        without_the_toy.run("invoke", "docs")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("addon.yaml", "needs: [flannel]", "needs: [flanel]", "addons/toy/addon.yaml: needs: flanel: "),
        ("addon.yaml", "title: Toy", "titel: Toy", "addons/toy/addon.yaml: titel: unknown key"),
        ("addon.yaml", "section: toy", "section: network", "section: network: is a key of every inventory"),
        ("addon.yaml", "section: toy\n", "", "addons/toy/addon.yaml: section: is missing"),
        ("section.py", "SECTION = ", "PART = ", "addons/toy/section.py: SECTION: is missing"),
        ("section.py", "class Toy(Model):", "class Toy(Modell):", "addons/toy/section.py:"),
        (
            "addon.yaml",
            "namespaces: [toy]",
            "namespaces: [toy]\nports: [{name: x, port: toy.port, protocol: tcp, from: []}]",
            "addons/toy/addon.yaml: ports: x: toy.port: the inventory has no such number",
        ),
    ],
)
def test_a_slip_in_the_folder_is_an_input_error_that_names_file_and_field(
    checkout: Checkout, file: str, old: str, new: str, said: str
) -> None:
    path = checkout.folder / "addons" / "toy" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    try:
        assert said in checkout.invoke("validate", code=2)
    finally:
        path.write_text(text)
