"""Add-ons are found, checked and put in order; what is wrong is told with file and field."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.addons import AddOn, addons, provider_of, selected
from lab.errors import InputError
from tests.world import INVENTORY, inventory

LEAST = "title: Toy\nnamespaces: [toy]\nready: [job/toy/setup]\n"


def folder(tmp_path: Path, **files: str) -> Path:
    """A folder of add-ons, each with the least it must say and more."""
    for name, more in files.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "addon.yaml").write_text(LEAST + more)
        (tmp_path / name / "objects.yaml.j2").touch()
    return tmp_path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        addons(path)
    assert error.value.exit_code == 2
    return error.value.message


def test_every_folder_with_an_addon_yaml_is_one_in_the_order_of_needs(tmp_path: Path) -> None:
    path = folder(tmp_path, a="needs: [cert-manager]\n", b="", cert_manager="needs: [z]\n", z="")
    (path / "notes").mkdir()
    assert [item.name for item in addons(path)] == ["b", "z", "cert-manager", "a"]


def test_a_missing_need_is_told_with_file_field_and_what_there_is(tmp_path: Path) -> None:
    said = refused(folder(tmp_path, a="needs: [flanel, b]\n", b=""))
    assert said == "addons/a/addon.yaml: needs: flanel: there is no such add-on; there are: b"


def test_a_circle_is_told_with_its_way(tmp_path: Path) -> None:
    said = refused(folder(tmp_path, a="needs: [b]\n", b="needs: [c]\n", c="needs: [a]\n"))
    assert "needs: a circle: " in said
    assert said.startswith("addons/")
    assert all(name in said for name in "abc")


def test_an_add_on_that_needs_itself_is_a_circle(tmp_path: Path) -> None:
    assert "needs: a circle: a -> a" in refused(folder(tmp_path, a="needs: [a]\n"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("color: red\n", "color: unknown key; known are: certificates, "),
        ("ports: [{port: 7, protocol: tcp, from: []}]\n", "ports.0.name: is missing"),
        ("ports: [{name: x, port: 70000, protocol: tcp, from: []}]\n", "ports.0.port"),
        ("needs: flannel\n", "needs: flannel: "),
        ("folder: /tmp\n", "folder: unknown key"),
        ("title: Twice\n", "is not YAML"),
        ("x: 2020-99-99\n", "is not YAML: month must be in 1..12"),
        ("x: [\n", "is not YAML: while parsing a flow node did not find expected node content line 5"),
        ("provides: [storage]\n", "provides.0: storage: "),
        ("on_hosts: {folders: [/run]}\n", "on_hosts.folders.0: /run: "),
        ("on_hosts: {folders: [/run/../etc]}\n", "on_hosts.folders.0: /run/../etc: "),
        ("section: toy\nwhen: Store\n", "when: Store: "),
        ("section: toy\nwhen: store.\n", "when: store.: "),
        ("section: toy\nwhen: store=\n", "when: store=: "),
        ("section: toy\nwhen: a=b=c\n", "when: a=b=c: "),
        ("when: store\n", "when: store: is about a section; write `section` as well"),
        ("secrets: [{namespace: Toy, name: x, key: y}]\n", "secrets.0.namespace: Toy: "),
    ],
)
def test_what_a_file_says_wrongly_is_told_with_file_and_field(tmp_path: Path, more: str, said: str) -> None:
    message = refused(folder(tmp_path, toy=more))
    assert all(line.startswith("addons/toy/addon.yaml: ") for line in message.splitlines()), message
    assert said in message


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    message = refused(folder(tmp_path, a="color: red\n", b="ready: [pod/x/y]\n".replace("ready", "redy")))
    assert "addons/a/addon.yaml: color" in message
    assert "addons/b/addon.yaml: redy" in message


@pytest.mark.parametrize("kind", ["pod", "cronjob", "Deployment"])
def test_only_workloads_whose_readiness_is_known_can_be_waited_for(tmp_path: Path, kind: str) -> None:
    path = folder(tmp_path, toy="")
    (path / "toy" / "addon.yaml").write_text(LEAST.replace("job/", f"{kind}/"))
    assert "addons/toy/addon.yaml: ready.0: " in refused(path)


@pytest.mark.parametrize("text", ["", "- a\n", "toy\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = folder(tmp_path, toy="")
    (path / "toy" / "addon.yaml").write_text(text)
    assert "addons/toy/addon.yaml: must be a mapping" in refused(path)


def test_a_folder_that_python_cannot_import_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cert-manager").mkdir()
    (tmp_path / "cert-manager" / "addon.yaml").write_text(LEAST)
    assert "may hold only a-z, 0-9 and _" in refused(tmp_path)


def test_what_git_leaves_of_another_branch_is_no_add_on(tmp_path: Path) -> None:
    path = folder(tmp_path, a="")
    for left in ("b", "c/__pycache__", ".hidden", "__pycache__"):
        (path / left).mkdir(parents=True)
    (path / "c" / "__pycache__" / "section.cpython-311.pyc").touch()
    (path / "c" / ".swp").touch()
    assert [item.name for item in addons(path)] == ["a"]


def test_a_folder_with_files_and_no_addon_yaml_is_refused(tmp_path: Path) -> None:
    """Else its rows, its checks and its catalogue would be found, and the add-on would not."""
    path = folder(tmp_path, a="", b="")
    (path / "a" / "addon.yaml").rename(path / "a" / "addon.yml")
    (path / "b" / "addon.yaml").unlink()
    (path / "b" / "addon.yaml").mkdir()
    said = refused(path).splitlines()
    assert said[0].startswith("addons/a/addon.yaml: No such file")
    assert said[1].startswith("addons/b/addon.yaml: Is a directory")


def test_an_add_on_has_the_files_that_it_speaks_of(tmp_path: Path) -> None:
    path = folder(tmp_path, toy="provides: [ingress]\n")
    assert "addons/toy/addon.yaml: provides: ingress: client.py is missing" in refused(path)
    (path / "toy" / "client.py").touch()
    assert [item.name for item in addons.__wrapped__(path)] == ["toy"]
    (path / "toy" / "objects.yaml.j2").unlink()
    with pytest.raises(InputError, match="brings no object and no role of machines"):
        addons.__wrapped__(path)


def test_what_it_waits_for_is_in_its_own_namespaces(tmp_path: Path) -> None:
    path = folder(tmp_path, toy="")
    (path / "toy" / "addon.yaml").write_text(LEAST.replace("job/toy", "job/other"))
    assert "addons/toy/addon.yaml: ready: job/other/setup: in none of its namespaces" in refused(path)


def test_a_lab_has_the_add_ons_of_its_sections_and_those_of_every_lab() -> None:
    lab = inventory()
    names = [item.name for item in selected(lab)]
    left_out = [item for item in addons() if item.name not in names]
    assert names == [item.name for item in addons() if item not in left_out]
    assert {item.section for item in left_out} == {"observability"}
    assert names.index("flannel") < names.index("metallb") < names.index("traefik")
    without = inventory(INVENTORY.replace("ingress: {address: 10.1.1.100}\n", ""))
    assert [item.name for item in selected(lab) if item not in selected(without)] == ["traefik"]
    assert provider_of("ingress", without) is None
    found = provider_of("ingress", lab)
    assert found is not None
    assert found.name == "traefik"


@pytest.mark.parametrize(
    ("said", "has"),
    [
        ({}, True),
        ({"section": "toy"}, True),
        ({"section": "other"}, False),
        ({"section": "toy", "when": "logs"}, True),
        ({"section": "toy", "when": "charts"}, False),
        ({"section": "toy", "when": "charts.port"}, False),
        ({"section": "toy", "when": "logs.store=loki"}, True),
        ({"section": "toy", "when": "logs.store=other"}, False),
        ({"section": "toy", "when": "charts.port=loki"}, False),
        ({"section": "other", "when": "logs"}, False),
    ],
)
def test_a_lab_has_an_add_on_whose_part_of_the_section_is_given(said: dict[str, str], has: bool) -> None:
    told = {"title": "Toy", "folder": Path("toy"), "namespaces": ["toy"], "ready": ["job/toy/setup"]}
    lab = SimpleNamespace(toy=SimpleNamespace(logs=SimpleNamespace(store="loki"), charts=None), other=None)
    assert AddOn.model_validate(told | said).is_part_of(lab) is has


def test_what_makes_an_add_on_part_of_a_lab_is_told_as_people_write_it(tmp_path: Path) -> None:
    path = folder(tmp_path, a="", b="section: x\n", c="section: x\nwhen: y\n", d="section: x\nwhen: y.z=w\n")
    assert [item.condition for item in addons(path)] == ["", "x", "x.y", "x.y.z: w"]
    assert [item.path for item in addons(path)] == [(), ("x",), ("x", "y"), ("x", "y", "z")]


def test_every_file_of_an_add_on_has_a_name_that_somebody_reads() -> None:
    """A file that is found by nobody, as `patches.yaml.j2`, would be left out in silence."""
    known = {
        *("addon.yaml", "section.py", "patch.yaml.j2", "objects.yaml.j2", "client.py", "defects.py"),
        "changing.py",
        "removal.py",
        *("pages.py", "rules", "rule_cases.py", "dashboards"),
        *("rows.yaml", "README.md", "conftest.py", "catalogue.yaml", "fixtures", "build"),
        *("host.yaml", "host"),
    }
    # an add-on of the same section may read it
    texts = "".join(path.read_text() for addon in addons() for path in addon.folder.glob("*.py"))
    for addon in addons():
        modules = {path.stem for path in addon.folder.glob("*.py")}
        for path in addon.folder.iterdir():
            imported = rf"{addon.module}\.{path.stem} import|{addon.module} import [^\n]*\b{path.stem}\b"
            used = path.stem in modules and re.search(imported, texts) is not None
            test = path.name.startswith("test_")
            assert path.name in known or used or test or path.name == "__pycache__", path
