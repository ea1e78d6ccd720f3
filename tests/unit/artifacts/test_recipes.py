"""Recipes: what may be in them, and how a module's copy is changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.artifacts.compile import default_name
from lab.artifacts.digests import recipe_digest
from lab.artifacts.recipes import Edit, Recipe, apply_edit, check_sum, load_recipe
from lab.artifacts.rootfs import RootfsRecipe, _clean, _set_units
from lab.artifacts.rootfs import load_recipe as load_rootfs
from lab.catalogue.load import ADDONS, load_catalogue
from lab.catalogue.model import PLATFORM, ComponentVersion, Programs
from lab.errors import FailedError, InputError

FOLDERS = sorted(
    path.parent
    for path in (*PLATFORM.rglob("recipe.yaml"), *ADDONS.rglob("build/**/recipe.yaml"))
    if path.parent.name != "rootfs"
)
BUILT = {
    item: one.modules
    for item, one in load_catalogue().everything().components.items()
    if isinstance(one, Programs) and one.modules
}
NUMBER = re.compile(r"\bv?(\d+\.\d+(?:\.\d+)?)$")
OWN_TIME = {
    # the shared libraries, which the version that they print is in, are those of the server
    "etcd-tools": {"go.etcd.io/etcd/etcdctl/v3", "go.etcd.io/etcd/etcdutl/v3"},
}
"""Modules of a component that are not published in its version."""
TOLD_OTHERWISE = {
    # v3.X.Y: as a module of that version it would have to be called .../v3
    "github.com/prometheus/prometheus": (r"^v3\.(\d\d)\.", r"v0.3\1."),
}
"""Modules that are published in another version than their project's: what becomes of it."""


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_every_recipe_is_sound_used_and_its_sums_are_kept(folder: Path) -> None:
    recipe = load_recipe(folder)
    assert folder in BUILT.values()
    assert (folder / "go.mod").is_file()
    # A recipe of the standard library, or of one C file, needs no sums of modules.
    assert (folder / "go.sum").is_file() == (folder.name not in ("probe", "pause"))
    assert recipe.programs or recipe.c


@pytest.mark.parametrize("item", BUILT, ids=str)
def test_a_recipe_builds_the_version_that_the_catalogue_names(item: ComponentVersion) -> None:
    """The modules that hold the programs, and every version that is compiled into them."""
    recipe, number = load_recipe(BUILT[item]), item.version.removeprefix("v")
    required = dict(re.findall(r"^(?:require )?\t?(\S+) (v\S+)$", (BUILT[item] / "go.mod").read_text(), re.M))
    for package in recipe.programs.values():
        modules = [module for module in required if f"{package}/".startswith(f"{module}/")]
        for module in set(modules) - OWN_TIME.get(item.name, set()):
            told = re.sub(*TOLD_OTHERWISE.get(module, ("^", "")), item.version)
            assert required[module] == told, module
        assert modules or package == "plumbline/artifacts/probe"
    for edit in recipe.edits:
        module, _, version = edit.module.partition("@")
        assert required.get(module, version) == version
    said = {NUMBER.sub(r"\1", value) for value in recipe.variables.values() if NUMBER.search(value)}
    if recipe.c:
        said |= {flag.partition("=v")[2] for flag in recipe.c.flags if flag.startswith("-DVERSION=")}
    assert said <= {number}


@pytest.mark.parametrize("item", BUILT, ids=str)
def test_what_is_asked_for_by_name_is_made_by_both_sources(item: ComponentVersion) -> None:
    """A program of machines or a tool: one that a source does not make is missing only when that is used."""
    one = load_catalogue().get(item)
    assert isinstance(one, Programs)
    assert set(one.named) <= load_recipe(BUILT[item]).programs.keys()
    files = one.upstream.values()
    assert set(one.named) == {name for file in files for name in (file.program, *file.members) if name}


def test_the_digest_of_a_recipe_sees_every_file(tmp_path: Path) -> None:
    (tmp_path / "thing" / "deep").mkdir(parents=True)
    (tmp_path / "thing" / "deep" / "file").write_text("1")
    first = recipe_digest(tmp_path / "thing")
    (tmp_path / "thing" / "deep" / "file").write_text("2")
    second = recipe_digest(tmp_path / "thing")
    (tmp_path / "thing" / "deep" / "file").rename(tmp_path / "thing" / "file")
    assert len({first, second, recipe_digest(tmp_path / "thing")}) == 3


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
