"""Images are the same bytes on every build of the same content, and are imported as they lie in the store."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from lab.artifacts.containerd_root import _import
from lab.artifacts.digests import DigestedFile, tree_digest
from lab.artifacts.images import (
    StoredImage,
    encode,
    image_config,
    image_files,
    layer_of_folder,
    layer_of_programs,
)
from lab.artifacts.store import Entry, Key, Produced, Store, StoredFile
from lab.errors import CommandError, FailedError


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


def build(folder: Path, source: Path) -> StoredImage:
    """An image of two layers, in a store of its own."""

    def produce(work: Path) -> Produced:
        layers = [
            layer_of_folder(source, work / "base.tar"),
            layer_of_programs({"/usr/bin/tool": program(work, "tool")}, work / "top.tar"),
        ]
        digests = [layer.sha256 for layer in layers]
        config = image_config("amd64", digests, ["/usr/bin/tool"], user="65532:65532")
        (work / "config").write_bytes(encode(config))
        return image_files(work / "config", layers)

    store = Store(folder)
    made = store.ensure(Key.of("tool", "amd64", {}), produce, say=print)
    return StoredImage.of("example.test/tool:v1", store.paths(made))


def imported(image: StoredImage) -> bytes:
    """What `ctr images import` is given."""
    stream = io.BytesIO()
    image.write_to(stream)
    return stream.getvalue()


def members(image: StoredImage) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(imported(image))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_two_builds_are_byte_identical(tmp_path: Path) -> None:
    first = imported(build(tmp_path / "one", make_folder(tmp_path / "first")))
    again = make_folder(tmp_path / "second", backwards=True)
    for path in again.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert imported(build(tmp_path / "two", again)) == first


def test_other_content_is_another_image(tmp_path: Path) -> None:
    first = build(tmp_path / "one", make_folder(tmp_path / "first"))
    changed = make_folder(tmp_path / "second")
    (changed / "a" / "file").chmod(0o600)
    assert build(tmp_path / "two", changed).id != first.id


def test_an_image_says_what_it_holds(tmp_path: Path) -> None:
    image = build(tmp_path / "one", make_folder(tmp_path / "first"))
    read = members(image)
    (manifest,) = json.loads(read["manifest.json"])
    config = json.loads(read[manifest["Config"]])
    assert manifest["RepoTags"] == ["example.test/tool:v1"]
    assert manifest["Config"] == f"{image.id}.json"
    assert manifest["Config"] == hashlib.sha256(read[manifest["Config"]]).hexdigest() + ".json"
    assert config["config"]["Entrypoint"] == ["/usr/bin/tool"]
    assert config["config"]["User"] == "65532:65532"
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(read[layer]).hexdigest()}" for layer in manifest["Layers"]
    ]


def stored(store: Store, name: str, *layers: bytes | StoredFile) -> Entry:
    """An image of such layers, the lowest first; one that the store has already may be among them."""

    def produce(work: Path) -> Produced:
        (work / "config").write_text(f"config of {name}")
        made: list[DigestedFile | StoredFile] = []
        for layer in layers:
            if isinstance(layer, StoredFile):
                made.append(layer)
                continue
            digest = hashlib.sha256(layer).hexdigest()
            (work / digest).write_bytes(layer)
            made.append(DigestedFile(work / digest, digest))
        return image_files(work / "config", made)

    return store.ensure(Key.of(name, "amd64", {}), produce, say=print)


def test_the_tar_is_what_docker_save_writes(store: Store) -> None:
    """Byte for byte what a tar of files is: layers in their order, packed and empty ones too, and one that
    occurs twice once."""
    top, base, empty = os.urandom(100_000), b"\x1f\x8bpacked", b""
    made = stored(store, "tool", base, top, empty, base)
    image = StoredImage.of("example.test/tool:v1", store.paths(made))
    config = b"config of tool"
    names = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in (base, top, empty)]
    manifest = (
        f'[{{"Config":"{image.id}.json","Layers":["{names[0]}","{names[1]}","{names[2]}","{names[0]}"],'
        '"RepoTags":["example.test/tool:v1"]}]'
    )
    wanted = io.BytesIO()
    with tarfile.open(fileobj=wanted, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        contents = {"manifest.json": manifest.encode(), f"{image.id}.json": config}
        for name, content in {**contents, **dict(zip(names, (base, top, empty), strict=True))}.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(content)
            tar.addfile(info, io.BytesIO(content))
    assert image.id == hashlib.sha256(config).hexdigest()
    assert imported(image) == wanted.getvalue()


def test_a_layer_of_two_images_is_stored_once(store: Store) -> None:
    one = stored(store, "one", b"base", b"own")
    two = stored(store, "two", one.files["layer-000"], b"another")
    three = stored(store, "three", b"base", b"third")
    bases = {store.paths(entry)["layer-000"] for entry in (one, two, three)}
    assert len(bases) == 1
    assert len([path for path in (store.folder / "objects").glob("*/*") if path.read_bytes() == b"base"]) == 1
    assert [store.damage(entry, full=True) for entry in (one, two, three)] == ["", "", ""]
    assert list(members(StoredImage.of("two:v1", store.paths(two))).values())[2:] == [b"base", b"another"]


def test_more_than_ten_layers_keep_their_order(store: Store) -> None:
    layers = [f"layer {number}".encode() for number in range(120)]
    made = stored(store, "deep", *layers)
    image = StoredImage.of("deep:v1", store.paths(made))
    assert [path.read_bytes() for path in image.layers] == layers


@pytest.mark.parametrize("full", [True, False])
def test_a_damaged_layer_is_found_and_the_image_made_anew(store: Store, full: bool) -> None:
    made = stored(store, "tool", b"base", b"top")
    path = store.paths(made)["layer-001"]
    path.chmod(0o644)
    path.write_bytes(b"pot")
    if full:
        os.utime(path, ns=(0, made.files["layer-001"].mtime_ns))
    assert "layer-001: " in store.damage(made, full=full)
    if not full:
        again = stored(store, "tool", b"base", b"top")
        assert store.damage(again, full=True) == ""


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            "ctr: wrong diff id calculated on extraction",
            r"^example.test/tool:v1: a layer of it unpacks to something else than its config says",
        ),
        ("ctr: no space left on device", r"import -  # example.test/tool:v1` ended with exit code 1"),
    ],
)
def test_an_image_that_is_not_imported_is_named(store: Store, tmp_path: Path, said: str, wanted: str) -> None:
    """Whether it was read to its end or not."""
    image = StoredImage.of("example.test/tool:v1", store.paths(stored(store, "tool", os.urandom(1 << 20))))
    (tmp_path / "log").write_text("of containerd\n")
    for reads in ("cat > /dev/null", "head -c 1 > /dev/null"):
        ctr = tmp_path / "ctr"
        ctr.write_text(f"#!/bin/sh\n{reads}\necho '{said}' >&2\nexit 1\n")
        ctr.chmod(0o755)
        with pytest.raises(FailedError, match=wanted) as raised:
            _import(tmp_path / "log", image, str(ctr), "images", "import", "-")
        assert isinstance(raised.value, CommandError) == ("space" in said)
        assert raised.value.next_step


def test_an_image_is_imported_from_standard_input(store: Store, tmp_path: Path) -> None:
    image = StoredImage.of("example.test/tool:v1", store.paths(stored(store, "tool", os.urandom(1 << 20))))
    ctr = tmp_path / "ctr"
    ctr.write_text(f"#!/bin/sh\ncat > {tmp_path}/got\n")
    ctr.chmod(0o755)
    _import(tmp_path / "log", image, str(ctr))
    assert (tmp_path / "got").read_bytes() == imported(image)


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
