"""The catalogue: what it refuses, and that ours is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.catalogue.catalogue import Catalogue
from lab.catalogue.load import CATALOGUE, files, load_catalogue
from lab.catalogue.model import PLATFORM, ComponentVersion, Image, Programs, SingleFile
from lab.errors import InputError
from lab.own_yaml import load

SHA = "ab" * 32
BOTH = {"amd64": SHA, "arm64": SHA}


def tool(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "programs",
        "install": {"tool": "/usr/local/bin"},
        "upstream": {"file": {"url": "https://example.test/{version}/{arch}", "program": "tool"}},
        "modules": "tool",
        "versions": {"v1": {"sha256": {"file": BOTH}}},
        **changes,
    }


def image(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "image",
        "reference": "example.test/tool:{version}",
        "modules": {"programs": {"/tool": "tool/tool"}, "entrypoint": ["/tool"]},
        "versions": {"v1": {"digest": f"sha256:{SHA}"}},
        **changes,
    }


def file(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "file",
        "url": "https://example.test/{version}/manifest.yml",
        "module": "example.test/tool",
        "path": "deploy/manifest.yml",
        "versions": {"v1": {"sha256": SHA}},
        **changes,
    }


def check(**components: Any) -> Catalogue:
    return Catalogue.model_validate({"components": components})


def written(folder: Path, **components: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump({"components": components}, sort_keys=False))
    return path


def test_ours_is_sound_and_has_every_component() -> None:
    everything = load_catalogue().everything()
    references = {one.tagged for _, one in everything.images()}
    programs = {program for _, one in everything.installed() for program in one.install}
    assert {f"registry.k8s.io/kube-apiserver:{version}" for version in ("v1.31.0", "v1.32.13")} <= references
    assert {"registry.k8s.io/etcd:3.5.15-0", "registry.k8s.io/pause:3.10"} <= references
    assert {"kubeadm", "kubelet", "kubectl", "containerd", "ctr", "crictl", "etcdctl", "etcdutl"} <= programs
    assert {"bridge", "host-local", "loopback", "portmap", "flannel"} <= programs


def test_every_official_file_of_ours_is_pinned_or_says_why_not() -> None:
    for item, one in load_catalogue().everything().components.items():
        if isinstance(one, Programs):
            assert bool(one.named) == bool(one.upstream), item
            for digests in one.sha256.values():
                assert digests.amd64 != digests.arm64, item
        elif isinstance(one, Image) and one.upstream:
            assert one.digest or one.unpinned, item


def test_two_versions_of_kubernetes_differ_in_everything_that_is_pinned() -> None:
    catalogue = load_catalogue()
    for name in ("kubernetes", "kube-apiserver", "kubernetes-openapi"):
        old, new = (catalogue.get(ComponentVersion(name, version)) for version in ("v1.31.0", "v1.32.13"))
        assert type(old) is type(new)
        match old, new:
            case Programs(), Programs():
                assert old.modules != new.modules
                assert not {one.amd64 for one in old.sha256.values()} & {
                    one.amd64 for one in new.sha256.values()
                }
            case Image(), Image():
                assert old.tagged != new.tagged
            case SingleFile(), SingleFile():
                assert old.sha256 != new.sha256


def test_a_version_says_only_what_is_its_own() -> None:
    catalogue = check(
        tool=tool(
            modules="tool/{version}",
            versions={
                "v2": {"sha256": {"file": BOTH}},
                "v1": {"sha256": {"file": BOTH}, "install": {"tool": "/opt"}, "untested": "old"},
            },
        )
    )
    new, old = (catalogue.get(ComponentVersion("tool", version)) for version in ("v2", "v1"))
    assert isinstance(new, Programs)
    assert isinstance(old, Programs)
    assert (new.install["tool"], old.install["tool"]) == ("/usr/local/bin", "/opt")
    assert (new.modules, old.modules) == (PLATFORM / "tool/v2", PLATFORM / "tool/v1")
    assert catalogue.components["tool"].first == "v2"
    assert catalogue.components["tool"].tested == ("v2",)


def test_what_is_wanted_is_chosen_and_brings_the_programs_of_its_images() -> None:
    catalogue = check(tool=tool(), other=tool(install={"other": "/bin"}), picture=image(), text=file())
    chosen = catalogue.select([("text", "v1"), ("picture", "v1")])
    assert [str(item) for item in chosen.components] == ["tool v1", "picture v1", "text v1"]
    assert list(chosen.installed()) == [], "what an image is made of goes to no machine"
    [(_, picture)] = chosen.images()
    assert picture.tagged == "example.test/tool:v1"


def test_a_tool_is_had_for_itself_and_goes_to_no_machine() -> None:
    """promtool: asked for by name, beside the image that is made of the same recipe."""
    catalogue = check(judge=tool(install={}, tools=["judge"]), other=tool(install={"other": "/bin"}))
    chosen = catalogue.everything()
    assert {item.name: one.named for item, one in chosen.named()} == {
        "judge": ("judge",),
        "other": ("other",),
    }
    assert [item.name for item, _ in chosen.installed()] == ["other"]
    assert catalogue.program_names == {"other"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (("tool", "v3"), r"tool: version v3 is not in the artefact catalogue, which has v1"),
        (("hammer", "v1"), r"component: 'hammer' is not in the artefact catalogue"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(item: tuple[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check(tool=tool()).select([item])


def test_a_component_may_be_had_from_upstream_alone() -> None:
    """Grafana: its image may be used, and is not built here."""
    only = {"modules": None, "unbuilt": "its licence"}
    catalogue = check(picture=image(**only), text=file(module="", path=None, unbuilt="no module"))
    assert [one.unbuilt for one in catalogue.everything().components.values()] == ["its licence", "no module"]


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ({"tool": tool(), "again": tool()}, "program tool is also in tool"),
        ({"tool": tool(), "again": tool(install={}, tools=["tool"])}, "program tool is also in tool"),
        (
            {"tool": tool(), "one": image(), "two": image()},
            "reference example.test/tool:v1 is also that of one",
        ),
        ({"one": image()}, "tool v1: no such set of programs"),
        (
            {"tool": tool(), "one": image(versions={"v2": {"digest": f"sha256:{SHA}"}})},
            "tool v2: no such set of programs",
        ),
        ({"tool": tool(), "one": image(versions={"v1": {"digest": "sha256:abc"}})}, "should match pattern"),
        ({"tool": tool(), "one": image(versions={"v1": {}})}, "give either `digest` or `unpinned`"),
        ({"tool": tool(), "one": image(reference="docker.io/tool:v1")}, "write docker.io/library/NAME"),
        ({"tool": tool(), "one": image(unpinned="why")}, "give either the digest or `unpinned`"),
        ({"tool": tool(), "one": image(unbuilt="why")}, "give either `modules` or `unbuilt`"),
        ({"one": image(modules=None)}, "give either `modules` or `unbuilt`"),
        (
            {"one": image(modules=None, unbuilt="why", versions={"v1": {"unpinned": "why"}})},
            "no source has it",
        ),
        ({"tool": tool(install={"tool": "bin"})}, "should match pattern"),
        ({"tool": tool(modules="../tool")}, "must be a path below the folder"),
        ({"tool": tool(versions={"v1": {}})}, "give either `sha256` or `unpinned`"),
        ({"tool": tool(versions={"v1": {"sha256": {"other": BOTH}}})}, "must name the files of `upstream`"),
        ({"tool": tool(versions={})}, "at least 1 item"),
        (
            {"tool": tool(versions={"v1": {"untested": "new", "sha256": {"file": BOTH}}})},
            "cannot be untested",
        ),
        ({"tool": tool(colour="red")}, "Extra inputs are not permitted"),
        ({"tool": {"kind": "chart", "versions": {"v1": {}}}}, "kind"),
        ({"text": file(path=None)}, "give both `module` and `path`"),
        (
            {
                "tool": tool(section="metallb"),
                "text": file(section="metallb", versions={"v2": {"sha256": SHA}}),
            },
            "tool and text: are versions of metallb, but not the same",
        ),
    ],
)
def test_a_broken_catalogue_is_refused(components: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(**components)


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "g" * 64, f"sha256:{SHA}"])
def test_a_bad_sha256_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        check(tool=tool(versions={"v1": {"sha256": {"file": {"amd64": digest, "arm64": SHA}}}}))


@pytest.mark.parametrize("form", [{}, {"program": "tool", "members": {"tool": "bin/tool"}}])
def test_a_download_is_one_program_or_a_tar(form: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either `program`"):
        check(tool=tool(upstream={"file": {"url": "u", **form}}))


def test_an_addon_brings_its_components_with_recipes_of_its_own_folder(tmp_path: Path) -> None:
    platform = written(tmp_path / "artifacts", tool=tool())
    written(tmp_path / "addons" / "toy", toy=tool(install={"toy": "/bin"}, modules="build/{version}"))
    catalogue = load_catalogue(platform, tmp_path / "addons")
    toy = catalogue.get(ComponentVersion("toy", "v1"))
    assert isinstance(toy, Programs)
    assert toy.modules == tmp_path / "addons" / "toy" / "build" / "v1"
    assert list(catalogue.components) == ["tool", "toy"]


def test_a_component_has_one_home(tmp_path: Path) -> None:
    platform = written(tmp_path / "artifacts", tool=tool())
    written(tmp_path / "addons" / "toy", tool=tool())
    with pytest.raises(InputError, match=r"toy/catalogue\.yaml: tool: is in another catalogue too"):
        load_catalogue(platform, tmp_path / "addons")


def test_what_two_files_contradict_in_is_told_without_a_traceback(tmp_path: Path) -> None:
    platform = written(tmp_path / "artifacts", tool=tool())
    written(tmp_path / "addons" / "toy", toy=tool())
    with pytest.raises(InputError, match="toy v1: program tool is also in tool"):
        load_catalogue(platform, tmp_path / "addons")


def test_every_problem_of_a_file_is_said_at_once_with_its_field(tmp_path: Path) -> None:
    broken = {"kind": "programs", "modules": "x", "versions": {"v1": {"sha256": 1}}}
    platform = written(tmp_path, one=broken, two={"kind": "image", "versions": {"v1": None}})
    with pytest.raises(InputError) as raised:
        load_catalogue(platform, tmp_path / "addons")
    said = str(raised.value)
    assert "components.one.versions.v1.programs.sha256: Input should be a valid dictionary (is: 1)" in said
    assert "components.two.versions.v1.image.reference: Field required" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not YAML"), ("a: 1\na: 2\n", "duplicate key"), ("? [a]\n: 1\n", "unhashable key")],
)
def test_what_is_not_yaml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "catalogue.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        load_catalogue(tmp_path / "catalogue.yaml", tmp_path)


def test_a_missing_catalogue_is_named() -> None:
    with pytest.raises(InputError, match="No such file"):
        load(CATALOGUE.with_name("none.yaml"), Catalogue)


def test_the_catalogue_is_read_by_commands_and_not_by_imports() -> None:
    """What is wrong in it is then an input error of the command, like everything that people write."""
    program = (
        "import lab.catalogue.load as load\n"
        "load.load_catalogue = lambda *_: 1 / 0\n"
        "import lab.inventory, lab.commands.session, lab.commands.artifacts, lab.commands.checking\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_addon_that_brings_components_is_read() -> None:
    names = [path.parent.name for path in files()]
    assert names[0] == "artifacts"
    assert {"coredns", "flannel", "metallb", "traefik"} <= set(names)
