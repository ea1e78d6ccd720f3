"""Source upstream as a user has it: the real names, every component of the catalogue, both processors.

Only the names lead elsewhere: to a registry and servers on loopback, on one of their bad days.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.artifacts.choice import source_of
from lab.artifacts.digests import file_digest
from lab.artifacts.images import CONFIG
from lab.artifacts.store import Store, cache_folder
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import Image, Programs
from lab.commands.session import OF_ARTEFACTS
from lab.inventory import load
from tests.doubles.upstream.whole import ARCHES
from tests.doubles.upstream.world import ROOT, World

WANTED = wanted(load("rehearsal"))
SELECTION = load_catalogue().select(WANTED)
ORDERED = sorted(SELECTION.components.items(), key=lambda item: not isinstance(item[1], Programs))
OFFICIAL = [
    item
    for item, component in ORDERED
    if item in WANTED and not (isinstance(component, Image) and not component.upstream)
]
"""In the order of source upstream: programs, then what is no set of programs."""
FOREIGN = ("--arch", next(arch for arch in ARCHES if arch != host_arch()))
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""RFC 1952 and RFC 8878: how what is packed begins."""
INVENTORY = """\
lab: from-upstream
provider: lxc
disposable: true
network: {lan: 10.1.7.0/24, gateway: 10.1.7.1}
kubernetes: {single_master: true}
metallb: {pools: [{name: default, addresses: [10.1.7.100-10.1.7.110]}]}
ingress: {address: 10.1.7.100, replicas: 1}
hosts:
  haproxy: {role: load-balancer, address: 10.1.7.50, cpus: 2, memory_gib: 2, disk_gib: 20}
  master-1: {role: control-plane, address: 10.1.7.11}
  worker-1: {role: worker, address: 10.1.7.31}
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Beside the store, since a root filesystem and its image store must be on one file system."""
    folder = cache_folder().parent / f"plumbline-upstream-{os.getpid()}"
    try:
        with World(folder, bad_day=True) as made:
            yield made
    finally:
        shutil.rmtree(folder)


def test_ctrl_c_in_the_middle_leaves_nothing_half(world: World) -> None:
    """What was finished is there, and no program goes on; the tests below finish it."""
    words = world.command(sys.executable, "-m", "invoke", "artifacts", "-s", "upstream", *FOREIGN, "--fetch")
    # whoever runs the tests in a shell's background has Ctrl-C ignored, and every child would inherit that
    words = ["env", "--default-signal=INT", *words]
    with subprocess.Popen(
        words, env=world.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if b"pulling" in line:
                break
        process.send_signal(signal.SIGINT)
        output = process.stdout.read().decode()
        assert process.wait(60) == 130, output
    assert f"stopped: {OF_ARTEFACTS}" in output
    assert "Traceback" not in output
    assert list((world.folder / "cache" / "work").iterdir()) == []
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if str(world.folder).encode() in arguments(pid)]


def arguments(process: Path) -> bytes:
    """What a program was started with, if it is a skopeo."""
    try:
        words = (process / "cmdline").read_bytes()
    except OSError:
        return b""
    return words if words.startswith(b"skopeo") else b""


@pytest.fixture(scope="module", params=[arch for arch in ARCHES if arch != host_arch()] + [host_arch()])
def fetched(world: World, request: pytest.FixtureRequest) -> tuple[World, str]:
    """All of one processor, by the command that people type."""
    done = world.invoke("artifacts", "-s", "upstream", "--arch", request.param, "--fetch")
    assert done.returncode == 0, done.stdout + done.stderr
    return world, request.param


def test_every_component_comes_from_upstream(fetched: tuple[World, str]) -> None:
    world, arch = fetched
    done = world.invoke("artifacts", "-s", "upstream", "--arch", arch, "--json")
    rows = {row["component"]: row for row in json.loads(done.stdout)}
    assert {row["state"] for row in rows.values()} == {"present"}
    assert [name for name, row in rows.items() if row["source"] == "upstream" and row["version"]] == [
        item.name for item in OFFICIAL
    ]
    assert rows["probe"]["source"] == "modules", "our own test image is on no registry"


def test_what_is_fetched_is_what_was_published(fetched: tuple[World, str]) -> None:
    """Byte for byte: the programs and layers of this processor are those that were built here."""
    world, arch = fetched
    catalogue = load_catalogue(world.folder / "artifacts" / "catalogue.yaml", world.folder / "addons")
    published = catalogue.select(WANTED)
    got = Store(world.folder / "cache")
    there = source_of("upstream", got, published, arch, print)
    here = source_of("modules", Store(), SELECTION, host_arch(), print)
    for item in OFFICIAL:
        fetched_paths, built_paths = got.paths(there.make(item)), Store().paths(here.make(item))
        assert fetched_paths.keys() >= built_paths.keys() or CONFIG not in built_paths, item
        for program, path in fetched_paths.items():
            built = built_paths[program]
            if program == CONFIG:
                assert path.name != built.name, "configs differ in form"
            elif CONFIG in built_paths:
                assert unpacked_digest(path) == file_digest(built), f"{item}: {program}"
            elif arch == host_arch():
                assert file_digest(path) == file_digest(built), program


def unpacked_digest(layer: Path) -> str:
    """The sha256 of what a layer unpacks to."""
    packed = layer.read_bytes()
    program = next((word for magic, word in PACKED.items() if packed.startswith(magic)), "")
    plain = subprocess.run([program, "-dc"], input=packed, capture_output=True, check=True).stdout
    return hashlib.sha256(plain).hexdigest()


def test_the_bad_day_was_lived_through(fetched: tuple[World, str]) -> None:
    """The same again has nothing to do, and says nothing."""
    world, arch = fetched
    done = world.invoke("artifacts", "-s", "upstream", "--arch", arch, "--fetch")
    assert done.returncode == 0, done.stderr
    assert "trying" not in done.stdout
    assert "pulling" not in done.stdout
    assert list((world.folder / "cache" / "work").iterdir()) == []
    left = [path for path in (world.folder / "cache" / "downloads").iterdir() if path.suffix != ".lock"]
    assert left == []


@pytest.mark.long
def test_a_lab_is_built_of_it(world: World, tmp_path: Path) -> None:
    inventory = tmp_path / "from-upstream.yaml"
    inventory.write_text(INVENTORY)
    try:
        built = world.invoke("build", "-i", str(inventory), "-s", "upstream")
        assert built.returncode == 0, built.stdout + built.stderr
        nodes = world.invoke("kubectl", "-i", str(inventory), "-s", "upstream", "--", "get", "nodes")
        assert nodes.stdout.count(" Ready ") == 2, nodes.stdout + nodes.stderr
        pods = ("get", "pods", "-A", "-o", "jsonpath={.items[*].spec.containers[*].image}")
        images = world.invoke("kubectl", "-i", str(inventory), "-s", "upstream", "--", *pods).stdout
        assert "ghcr.io/flannel-io/flannel" in images
        assert "quay.io/metallb/speaker" in images
    finally:
        gone = world.invoke("destroy", "-i", str(inventory))
        shutil.rmtree(ROOT / ".lab" / "from-upstream", ignore_errors=True)
    assert gone.returncode == 0, gone.stdout + gone.stderr
