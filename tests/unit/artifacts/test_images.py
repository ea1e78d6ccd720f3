"""Images are the same bytes on every build of the same content."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from lab.artifacts.digests import tree_digest
from lab.artifacts.images import encode, image_config, layer_of_folder, layer_of_programs, write_image


def make_folder(folder: Path, *, backwards: bool = False) -> Path:
    """A folder with everything a layer may hold, made in one of two orders."""
    folder.mkdir()
    names = ["b", "a", "c"]
    for name in reversed(names) if backwards else names:
        (folder / name).mkdir(mode=0o755)
        (folder / name / "file").write_text(name)
    (folder / "a" / "tool").write_text("#!")
    (folder / "a" / "tool").chmod(0o4755)
    os.link(folder / "a" / "tool", folder / "c" / "same-tool")
    (folder / "link").symlink_to("a/file")
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text("of the machine that built it")
    return folder


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(name.encode() * 1000)
    return path


def build(folder: Path, source: Path) -> str:
    folder.mkdir()
    layers = [
        layer_of_folder(source, folder / "base.tar"),
        layer_of_programs({"/usr/bin/tool": program(folder, "tool")}, folder / "top.tar"),
    ]
    config = image_config("amd64", [layer.digest for layer in layers], ["/usr/bin/tool"], user="65532:65532")
    write_image("example.test/tool:v1", encode(config), layers, folder / "image.tar")
    return hashlib.sha256((folder / "image.tar").read_bytes()).hexdigest()


def test_two_builds_are_byte_identical(tmp_path: Path) -> None:
    first = build(tmp_path / "one", make_folder(tmp_path / "first"))
    again = make_folder(tmp_path / "second", backwards=True)
    for path in again.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert build(tmp_path / "two", again) == first


def test_other_content_is_another_image(tmp_path: Path) -> None:
    first = build(tmp_path / "one", make_folder(tmp_path / "first"))
    changed = make_folder(tmp_path / "second")
    (changed / "a" / "file").chmod(0o600)
    assert build(tmp_path / "two", changed) != first


def test_an_image_says_what_it_holds(tmp_path: Path) -> None:
    build(tmp_path / "one", make_folder(tmp_path / "first"))
    with tarfile.open(tmp_path / "one" / "image.tar") as tar:
        read = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    (manifest,) = json.loads(read["manifest.json"])
    config = json.loads(read[manifest["Config"]])
    assert manifest["RepoTags"] == ["example.test/tool:v1"]
    assert manifest["Config"] == hashlib.sha256(read[manifest["Config"]]).hexdigest() + ".json"
    assert config["config"]["Entrypoint"] == ["/usr/bin/tool"]
    assert config["config"]["User"] == "65532:65532"
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(read[layer]).hexdigest()}" for layer in manifest["Layers"]
    ]


def test_a_layer_keeps_modes_and_links_and_nothing_of_the_machine(tmp_path: Path) -> None:
    layer = layer_of_folder(make_folder(tmp_path / "folder"), tmp_path / "layer.tar")
    with tarfile.open(layer.path) as tar:
        members = {member.name: member for member in tar}
    assert members["a/tool"].mode == 0o4755
    assert (members["c/same-tool"].islnk(), members["c/same-tool"].linkname) == (True, "a/tool")
    assert (members["link"].issym(), members["link"].linkname) == (True, "a/file")
    assert "proc" in members
    assert "proc/cpuinfo" not in members
    assert {member.mtime for member in members.values()} == {0}
    assert {member.uname for member in members.values()} == {""}


def test_programs_lie_in_folders_that_exist_and_there_is_a_tmp(tmp_path: Path) -> None:
    layer = layer_of_programs({"/opt/bin/tool": program(tmp_path, "tool")}, tmp_path / "layer.tar")
    with tarfile.open(layer.path) as tar:
        shape = [(member.name, member.isdir(), member.mode, member.uid) for member in tar]
    assert shape == [
        ("opt", True, 0o755, 0),
        ("opt/bin", True, 0o755, 0),
        ("tmp", True, 0o1777, 0),
        ("opt/bin/tool", False, 0o755, 0),
    ]


@pytest.mark.parametrize("change", ["content", "mode", "name", "target"])
def test_the_digest_of_a_tree_notices(tmp_path: Path, change: str) -> None:
    folder = make_folder(tmp_path / "folder")
    before, size = tree_digest(folder)
    assert size == len("a" + "b" + "c" + "#!" + "of the machine that built it")
    match change:
        case "content":
            (folder / "a" / "file").write_text("A")
        case "mode":
            (folder / "a" / "file").chmod(0o600)
        case "name":
            (folder / "a" / "file").rename(folder / "a" / "other")
        case "target":
            (folder / "link").unlink()
            (folder / "link").symlink_to("b/file")
    assert tree_digest(folder)[0] != before
