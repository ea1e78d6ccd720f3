"""The real artefacts of this machine: built by the real compiler, imported by the real containerd."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts import compile as compiler
from lab.artifacts.choice import source_of
from lab.artifacts.containerd_root import (
    DATABASES,
    _containerd,
    containerd_root,
    containerd_root_key,
)
from lab.artifacts.digests import DigestedFile, file_digest
from lab.artifacts.images import StoredImage, encode, image_config, layer_of_programs
from lab.artifacts.provide import Provided, provide, status
from lab.artifacts.rootfs import load_recipe
from lab.artifacts.store import Store
from lab.artifacts.wanted import wanted
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import PLATFORM
from lab.errors import CommandError, FailedError
from lab.inventory import load
from lab.machines import Volume
from lab.providers.lxc.machine import _fill_volume
from lab.render.roles import all_packages
from tests.integration.artifacts.versions import SAID

EM_AARCH64 = 183
"""elf.h"""


WANTED = wanted(load("rehearsal"))
SELECTION = load_catalogue().select(WANTED)


def quiet(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def provided() -> Provided:
    """What the lab itself uses; made first if need be."""
    return provide(WANTED, packages=all_packages(), say=print)


def test_a_second_call_is_quick_and_the_same(provided: Provided) -> None:
    said: list[str] = []
    assert provide(WANTED, packages=all_packages(), say=said.append) == provided
    assert said == []


@pytest.mark.long
def test_a_program_for_a_raspberry_pi_is_built_here_and_runs_there() -> None:
    """The smallest Go program of the catalogue, cross-compiled and run under an emulator of its processor."""
    store = Store()
    [item] = [item for item in WANTED if item.name == "crictl"]
    origin = source_of("modules", store, SELECTION, "arm64", print)
    path = store.paths(origin.make(item))["crictl"]
    emulated = ["qemu-aarch64-static", str(path), "--version"]
    said = subprocess.run(emulated, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == f"crictl version {item.version}"
    header = path.read_bytes()[:20]
    assert int.from_bytes(header[18:20], "little") == EM_AARCH64


def test_everything_is_present(provided: Provided) -> None:
    rows = status(WANTED, packages=all_packages())
    assert {row.state for row in rows} == {"present"}
    assert {"debian", "payload", "containerd-root"} <= {row.component for row in rows}
    references = {image.tagged for _, image in SELECTION.images()}
    assert set(provided.images) == references


@pytest.mark.parametrize(("command", "said"), SAID)
def test_programs_say_their_version(provided: Provided, command: list[str], said: str) -> None:
    program = provided.payload / "usr/local/bin" / command[0]
    output = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=True).stdout
    assert said in output


def test_the_payload_holds_the_network_plugins(provided: Provided) -> None:
    names = {path.name for path in (provided.payload / "opt/cni/bin").iterdir()}
    assert names == {"bridge", "host-local", "loopback", "portmap", "flannel"}


def test_the_root_filesystem_is_anybodys(provided: Provided) -> None:
    etc = provided.debian / "etc"
    assert list(etc.glob("ssh/ssh_host_*")) == []
    assert (etc / "machine-id").read_text() == ""
    assert not (etc / "hostname").exists()
    assert (etc / "resolv.conf").read_text().startswith("#")
    assert list((provided.debian / "var/lib/apt/lists").glob("*_Packages*")) == []
    assert list((provided.debian / "var/cache/apt/archives").glob("*.deb")) == []


def test_no_unit_starts_that_a_role_decides_about(provided: Provided) -> None:
    units = {path.name for path in (provided.debian / "etc/systemd/system").glob("*.wants/*")}
    assert units.isdisjoint(load_recipe().disable)
    assert units >= set(load_recipe().enable)
    assert "ssh.service" in units


def test_a_program_has_the_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "a-longer-name-there"):
        work = tmp_path / name
        work.mkdir()
        made = compiler.build(Store(), "probe", PLATFORM / "probe", "amd64", work, say=quiet)
        digests.add(file_digest(made["probe"]))
    assert len(digests) == 1


def test_a_program_can_be_built_for_the_pi(tmp_path: Path) -> None:
    made = compiler.build(Store(), "probe", PLATFORM / "probe", "arm64", tmp_path, say=quiet)
    # ELF header: the machine is at byte 18; 183 is AArch64.
    assert made["probe"].read_bytes()[18:20] == (183).to_bytes(2, "little")


def test_a_compiler_error_shows_its_output(tmp_path: Path) -> None:
    broken = tmp_path / "recipes" / "broken"
    broken.mkdir(parents=True)
    (broken / "recipe.yaml").write_text("programs: {broken: example.test/broken}\n")
    (broken / "go.mod").write_text("module example.test/broken\n\ngo 1.26.0\n")
    (broken / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    (tmp_path / "work").mkdir()
    with pytest.raises(CommandError, match="undefined: nonsense"):
        compiler.build(Store(), "broken", broken, "amd64", tmp_path / "work", say=quiet)


def packed(layer: DigestedFile, packing: str) -> DigestedFile:
    """A layer as registries have it."""
    target = layer.path.with_suffix(f".{packing}")
    target.write_bytes(subprocess.check_output([packing, "-c", layer.path]))
    return DigestedFile(target, file_digest(target))


def image_of(reference: str, config: dict[str, Any], layer: DigestedFile, folder: Path) -> StoredImage:
    """An image of one layer, as the store has one: files that are named by their digests."""
    text = encode(config)
    named = folder / hashlib.sha256(text).hexdigest(), folder / layer.sha256
    named[0].write_bytes(text)
    if not named[1].exists():
        named[1].hardlink_to(layer.path)
    return StoredImage(reference, named[0], (named[1],))


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_packed_layer_that_unpacks_to_something_else_is_refused(
    provided: Provided, tmp_path: Path, packing: str
) -> None:
    """The last link of the chain of digests: containerd's, for sources do not unpack."""
    layer = layer_of_programs({"/tool": provided.binaries["loopback"]}, tmp_path / "layer.tar")
    other = layer_of_programs({"/tool": provided.binaries["ctr"]}, tmp_path / "other.tar")

    def imported(name: str) -> Path:
        content = {"sound": layer, "other": other}[name]
        config = image_config("amd64", [layer.sha256], ["/tool"])
        image = image_of(f"example.test/{name}:v1", config, packed(content, packing), tmp_path)
        images, key = {image.reference: image}, containerd_root_key({name: content.sha256}, "any", "amd64")
        return containerd_root(Store(tmp_path / "cache"), images, provided.binaries, key, say=quiet)

    (unpacked,) = imported("sound").rglob("fs/tool")
    assert file_digest(unpacked) == file_digest(provided.binaries["loopback"])
    with pytest.raises(FailedError, match=r"example.test/other:v1: a layer of it unpacks to something else"):
        imported("other")
    assert len(list((tmp_path / "cache" / "entries").iterdir())) == 1, "the refused one is not in the store"


@pytest.fixture
def root(provided: Provided, tmp_path: Path) -> Path:
    """An image store of two small images, in a store of its own."""
    images = {}
    for reference in ("registry.k8s.io/pause:3.10", "example.test/tool:v1"):
        work = tmp_path / reference.partition("/")[0]
        work.mkdir()
        layer = layer_of_programs({"/tool": provided.binaries["loopback"]}, work / "layer.tar")
        config = image_config("amd64", [layer.sha256], [f"/{reference}"])
        images[reference] = image_of(reference, config, layer, work)
    digests = {reference: image.id for reference, image in images.items()}
    key = containerd_root_key(digests, "any", "amd64")
    return containerd_root(Store(tmp_path / "cache"), images, provided.binaries, key, say=quiet)


def test_a_node_has_all_images_and_databases_of_its_own(
    root: Path, provided: Provided, tmp_path: Path
) -> None:
    node = tmp_path / "node"
    _fill_volume(node, Volume("/var/lib/containerd", root, DATABASES), tmp_path)
    before = {name: file_digest(root / name) for name in DATABASES}
    with _containerd(provided.binaries["containerd"], node, tmp_path / "log") as socket:
        crictl = [str(provided.binaries["crictl"]), "--runtime-endpoint", f"unix://{socket}"]
        listed = json.loads(subprocess.check_output([*crictl, "images", "--output", "json"]))["images"]
        ctr = [str(provided.binaries["ctr"]), "--address", str(socket), "--namespace", "k8s.io"]
        subprocess.run([*ctr, "images", "remove", "example.test/tool:v1"], check=True, capture_output=True)
        snapshots = subprocess.check_output([*ctr, "snapshots", "list"], text=True).splitlines()[1:]
    assert {one["repoTags"][0]: one["pinned"] for one in listed} == {
        "registry.k8s.io/pause:3.10": True,
        "example.test/tool:v1": False,
    }
    assert len(snapshots) == 1, "both images are one layer, unpacked once"
    assert {name: file_digest(root / name) for name in DATABASES} == before
    layers = list((root / "io.containerd.snapshotter.v1.overlayfs/snapshots").glob("*/fs/tool"))
    same = node / layers[0].relative_to(root)
    assert same.stat().st_ino == layers[0].stat().st_ino, "linked, not copied"
