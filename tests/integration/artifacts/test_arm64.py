"""Everything that a Raspberry Pi gets: made here, for its processor, and a part of it run by an emulator."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lab.artifacts.choice import BINFMT
from lab.artifacts.images import StoredImage
from lab.artifacts.provide import foreign_stock
from lab.artifacts.stock import Stock
from lab.artifacts.wanted import wanted
from lab.catalogue.load import load_catalogue
from lab.inventory import load
from tests.integration.artifacts.versions import SAID

ROOT = Path(__file__).parents[3]
WANTED = wanted(load("rehearsal"))
SELECTION = load_catalogue().select(WANTED)
EM_AARCH64 = 183
"""elf.h"""
MAGIC = r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
REGISTER = f"""
mount -t binfmt_misc binfmt_misc {BINFMT}
printf %s ':qemu-aarch64:M::{MAGIC}:{MASK}:/usr/bin/qemu-aarch64-static:FP' > {BINFMT}/register
exec "$@"
"""
"""Tells a kernel of 6.7 or later how arm64 programs are run, in a user namespace and nowhere else
(Linux, Documentation/admin-guide/binfmt-misc.rst; the bytes are the ELF header's, e_machine 183)."""
EMULATED = [
    "lxc-usernsexec",
    "-m",
    "b:0:0:4294967295",
    "--",
    "unshare",
    "--mount",
    "sh",
    "-ec",
    REGISTER,
    "sh",
]


@pytest.fixture(scope="module")
def stock() -> Stock:
    """Programs and images, made by the command that people type: about an hour on a busy machine."""
    here = BINFMT / "qemu-aarch64"
    command = [sys.executable, "-m", "invoke", "artifacts", "-s", "modules", "--arch", "arm64", "--fetch"]
    subprocess.run([*([] if here.exists() else EMULATED), *command], cwd=ROOT, check=True, timeout=7200)
    return foreign_stock(WANTED, "modules", "arm64", say=print)


def machine_of(header: bytes) -> int | None:
    """The processor that an ELF file is for, None for another file."""
    return int.from_bytes(header[18:20], "little") if header[:4] == b"\x7fELF" else None


def programs_in(image: StoredImage) -> dict[str, int]:
    """ELF files of an image, all layers together: path -> the processor it is for."""
    machines = {}
    for path in image.layers:
        with tarfile.open(path) as layer:
            for item in layer:
                content = layer.extractfile(item) if item.isfile() else None
                machine = machine_of(content.read(20)) if content else None
                if machine is not None:
                    machines["/" + item.name.removeprefix("./")] = machine
    return machines


@pytest.mark.long
def test_every_program_is_for_the_pis_processor(stock: Stock) -> None:
    names = {program for _, component in SELECTION.installed() for program in component.install}
    assert set(stock.programs) == names
    machines = {name: machine_of(path.read_bytes()[:20]) for name, path in stock.programs.items()}
    assert machines == dict.fromkeys(names, EM_AARCH64)


@pytest.mark.long
def test_every_image_is_for_the_pis_processor(stock: Stock) -> None:
    assert set(stock.images) == {image.tagged for _, image in SELECTION.images()}
    for reference, stored in stock.images.items():
        config = json.loads(stored.config.read_bytes())
        assert (config["architecture"], config["os"]) == ("arm64", "linux"), reference
        machines = programs_in(stored)
        assert set(machines.values()) == {EM_AARCH64}, reference
        [image] = [one for _, one in SELECTION.images() if one.tagged == reference]
        assert image.modules
        assert set(image.modules.programs) <= set(machines), reference


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "said"), SAID, ids=lambda value: value[0] if isinstance(value, list) else ""
)
def test_programs_run_on_the_pis_processor(stock: Stock, command: list[str], said: str) -> None:
    emulated = ["qemu-aarch64-static", str(stock.programs[command[0]]), *command[1:]]
    output = subprocess.run(emulated, capture_output=True, text=True, check=True, timeout=120).stdout
    assert said in output
