"""The catalogue: what it refuses, and that ours is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.catalogue import CATALOGUE, Image, Programs, load_catalogue, load_yaml
from lab.artifacts.catalogue import Catalogue as Model
from lab.errors import InputError

SHA = "ab" * 32


def tool(**changes: Any) -> dict[str, Any]:
    download = {
        "url": "https://example.test/{version}/{arch}",
        "program": "tool",
        "sha256": {"amd64": SHA, "arm64": SHA},
    }
    return {
        "kind": "programs",
        "version": "v1",
        "install": {"tool": "/usr/local/bin"},
        "upstream": [download],
        "modules": "tool",
        **changes,
    }


def image(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "image",
        "version": "v1",
        "reference": "example.test/tool:{version}",
        "digest": f"sha256:{SHA}",
        "modules": {"programs": {"/tool": "tool/tool"}, "entrypoint": ["/tool"]},
        **changes,
    }


def load(tmp_path: Path, text: str) -> Model:
    path = tmp_path / "catalogue.yaml"
    path.write_text(text)
    return load_yaml(path, Model)


def check(**components: Any) -> Model:
    return Model.model_validate({"components": components})


def test_ours_is_sound_and_has_every_component() -> None:
    catalogue = load_catalogue()
    references = [one.tagged for _, one in catalogue.images()]
    programs = {program for _, one in catalogue.programs() for program in one.install}
    assert "registry.k8s.io/kube-apiserver:v1.31.0" in references
    assert "registry.k8s.io/etcd:3.5.15-0" in references
    assert "registry.k8s.io/pause:3.10" in references
    assert {"kubeadm", "kubelet", "kubectl", "containerd", "ctr", "crictl", "etcdctl", "etcdutl"} <= programs
    assert {"bridge", "host-local", "loopback", "portmap", "flannel"} <= programs


def test_every_official_file_of_ours_is_pinned_or_says_why_not() -> None:
    for name, component in load_catalogue().components.items():
        if isinstance(component, Programs):
            assert bool(component.install) == bool(component.upstream), name
            for download in component.upstream:
                assert download.sha256.amd64 != download.sha256.arm64, name
        elif component.upstream:
            assert component.digest or component.unpinned, name


def test_a_plain_catalogue_is_taken() -> None:
    catalogue = check(tool=tool(), picture=image())
    assert [name for name, _ in catalogue.images()] == ["picture"]
    assert isinstance(catalogue.components["picture"], Image)
    assert catalogue.components["picture"].tagged == "example.test/tool:v1"


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ({"tool": tool(), "again": tool()}, "program tool is also in tool"),
        (
            {"tool": tool(), "one": image(), "two": image()},
            "reference example.test/tool:v1 is also that of one",
        ),
        ({"one": image()}, "tool/tool: no such set of programs"),
        ({"tool": tool(), "one": image(digest="sha256:abc")}, "should match pattern"),
        ({"tool": tool(), "one": image(digest=None)}, "give either `digest` or `unpinned`"),
        ({"tool": tool(), "one": image(reference="docker.io/tool:v1")}, "write docker.io/library/NAME"),
        ({"tool": tool(), "one": image(unpinned="why")}, "give either `digest` or `unpinned`"),
        ({"tool": tool(install={"tool": "bin"})}, "should match pattern"),
        ({"tool": tool(colour="red")}, "Extra inputs are not permitted"),
        ({"tool": {"kind": "chart"}}, "kind"),
    ],
)
def test_a_broken_catalogue_is_refused(components: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(**components)


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "g" * 64, f"sha256:{SHA}"])
def test_a_bad_sha256_is_refused(digest: str) -> None:
    download = {"url": "u", "program": "tool", "sha256": {"amd64": digest, "arm64": SHA}}
    with pytest.raises(ValueError, match="should match pattern"):
        check(tool=tool(upstream=[download]))


@pytest.mark.parametrize("form", [{}, {"program": "tool", "members": {"tool": "bin/tool"}}])
def test_a_download_is_one_program_or_a_tar(form: dict[str, Any]) -> None:
    download = {"url": "u", "sha256": {"amd64": SHA, "arm64": SHA}, **form}
    with pytest.raises(ValueError, match="either `program`"):
        check(tool=tool(upstream=[download]))


def test_every_problem_is_said_at_once_with_its_field(tmp_path: Path) -> None:
    text = "components:\n  one: {kind: programs, version: 1, modules: x}\n  two: {kind: image, version: v1}\n"
    with pytest.raises(InputError) as raised:
        load(tmp_path, text)
    said = str(raised.value)
    assert "components.one.programs.version: Input should be a valid string (is: 1)" in said
    assert "components.two.image.reference: Field required" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not YAML"), ("a: 1\na: 2\n", "duplicate key"), ("? [a]\n: 1\n", "unhashable key")],
)
def test_what_is_not_yaml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(tmp_path, text)


def test_a_missing_catalogue_is_named() -> None:
    with pytest.raises(InputError, match="No such file"):
        load_yaml(CATALOGUE.with_name("none.yaml"), Model)
