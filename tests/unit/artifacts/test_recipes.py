"""Recipes: what may be in them, and how a module's copy is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts.catalogue import RECIPES, load_catalogue
from lab.artifacts.compile import default_name
from lab.artifacts.recipes import Edit, Recipe, apply_edit, check_sum, load_recipe, recipe_digest
from lab.artifacts.rootfs import RootfsRecipe, _clean, _set_units
from lab.artifacts.rootfs import load_recipe as load_rootfs
from lab.errors import FailedError, InputError

FOLDERS = sorted(path.parent.name for path in RECIPES.glob("*/recipe.yaml") if path.parent.name != "rootfs")


@pytest.mark.parametrize("name", FOLDERS)
def test_every_recipe_is_sound_and_its_sums_are_kept(name: str) -> None:
    recipe = load_recipe(name)
    assert (RECIPES / name / "go.mod").is_file()
    # A recipe of the standard library, or of one C file, needs no sums of modules.
    assert (RECIPES / name / "go.sum").is_file() == (name not in ("probe", "pause"))
    assert recipe.programs or recipe.c


@pytest.mark.parametrize("name", FOLDERS)
def test_every_recipe_is_used(name: str) -> None:
    assert name in {component.modules for _, component in load_catalogue().programs()}


def test_the_digest_of_a_recipe_sees_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.artifacts.recipes.RECIPES", tmp_path)
    (tmp_path / "thing" / "deep").mkdir(parents=True)
    (tmp_path / "thing" / "deep" / "file").write_text("1")
    first = recipe_digest("thing")
    (tmp_path / "thing" / "deep" / "file").write_text("2")
    second = recipe_digest("thing")
    (tmp_path / "thing" / "deep" / "file").rename(tmp_path / "thing" / "file")
    assert len({first, second, recipe_digest("thing")}) == 3


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubeadm", "kubeadm"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("go.etcd.io/etcd/etcdctl/v3", "etcdctl"),
        ("github.com/traefik/traefik/v3/cmd/traefik", "traefik"),
        ("github.com/coredns/coredns", "coredns"),
        ("example.test/thing/v12", "thing"),
        ("example.test/thing/v1", "v1"),
    ],
)
def test_the_name_that_go_gives_a_program(package: str, name: str) -> None:
    assert default_name(package) == name


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A read-only module, as the module cache holds it."""
    folder = tmp_path / "module@v1"
    (folder / "backend" / "good").mkdir(parents=True)
    (folder / "backend" / "bad").mkdir()
    (folder / "backend" / "good" / "good.go").write_text("package good\n")
    (folder / "backend" / "bad" / "bad.go").write_text("package bad\n")
    (folder / "main.go").write_text('package main\n\nimport (\n\t_ "bad"\n\t_ "good"\n)\n')
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


def edit(**changes: object) -> Edit:
    return Edit.model_validate({"module": "example.test/m@v1", "sum": "h1:x", "folder": "edited", **changes})


def test_an_edit_removes_replaces_and_adds(module: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "none.go").write_text("package none\n")
    target = tmp_path / "copy"
    apply_edit(
        edit(
            remove=["backend/bad"],
            replace_lines={"main.go": {'_ "bad"': "", '_ "good"': '\t_ "better"'}},
            add={"backend/none/none.go": "none.go"},
        ),
        module,
        tmp_path / "recipe",
        target,
    )
    assert sorted(path.name for path in target.rglob("*.go")) == ["good.go", "main.go", "none.go"]
    assert (target / "main.go").read_text() == 'package main\n\nimport (\n\t_ "better"\n)\n'
    assert (module / "backend" / "bad" / "bad.go").exists()


def test_an_edit_keeps_only_what_is_named(module: Path, tmp_path: Path) -> None:
    apply_edit(edit(keep={"backend": ["good"]}), module, tmp_path, tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy" / "backend").iterdir()] == ["good"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"remove": ["backend/ugly"]}, "remove: backend/ugly: no such folder"),
        ({"keep": {"front": []}}, "keep: front: no such folder"),
        ({"replace_lines": {"main.go": {'_ "ugly"': ""}}}, "is there 0 times, not once"),
    ],
)
def test_an_edit_for_another_version_is_refused(
    module: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        apply_edit(edit(**changes), module, tmp_path, tmp_path / "copy")


@pytest.mark.parametrize("path", ["/", "/etc", "..", "../other", "a/../..", "", ".", "a//b", "a/"])
@pytest.mark.parametrize("field", ["remove", "keep", "replace_lines", "add", "folder"])
def test_an_edit_never_leaves_its_copy(field: str, path: str) -> None:
    value = {
        "remove": [path],
        "keep": {path: []},
        "replace_lines": {path: {}},
        "add": {path: "x"},
        "folder": path,
    }
    with pytest.raises(ValueError, match="must be a path below the folder"):
        edit(**{field: value[field]})


def test_another_content_of_a_module_is_refused() -> None:
    check_sum("example.test/m@v1", "h1:a", "h1:a")
    with pytest.raises(FailedError, match="checksum is h1:b, the recipe wants h1:a"):
        check_sum("example.test/m@v1", "h1:a", "h1:b")


def test_a_recipe_builds_one_kind_of_thing() -> None:
    with pytest.raises(ValueError, match="give either `programs` or `c`"):
        Recipe.model_validate({})


def rootfs_recipe(*patterns: str) -> RootfsRecipe:
    return load_rootfs().model_copy(update={"remove": patterns})


def test_cleaning_a_tree_removes_what_is_named(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "var" / "log" / "apt").mkdir(parents=True)
    (tree / "var" / "log" / "dpkg.log").write_text("")
    (tree / "var" / "log" / "wtmp").write_text("")
    _clean(tree, rootfs_recipe("var/log/*.log", "var/log/apt", "not/there"))
    assert [path.name for path in (tree / "var" / "log").iterdir()] == ["wtmp"]


def test_units_are_set_though_their_links_dangle_here(tmp_path: Path) -> None:
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    for unit in ("haproxy.service", "ssh.service"):
        (wants / unit).symlink_to(f"/lib/systemd/system/not-on-this-machine/{unit}")
    _set_units(tmp_path, load_rootfs())
    assert sorted(path.name for path in wants.iterdir()) == ["ssh.service", "systemd-networkd.service"]


def test_cleaning_a_tree_never_follows_a_link_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "lock").symlink_to(tmp_path / "outside")
    with pytest.raises(FailedError, match="leads out of the tree"):
        _clean(tree, rootfs_recipe("lock/*"))
    assert (tmp_path / "outside" / "precious").exists()


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "var/../../*"])
def test_a_pattern_that_leaves_the_tree_is_refused(pattern: str) -> None:
    data = load_rootfs().model_dump() | {"remove": [pattern]}
    with pytest.raises(ValueError, match="must be a path below the folder"):
        RootfsRecipe.model_validate(data)
