"""The card of a Raspberry Pi: one line of boot options, the right folder, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InputError
from lab.hosts import seeding
from lab.inventory.loading import load
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import Bundle, bundle, pins
from lab.render.cloudinit import seed
from lab.ssh import Keys

STOCK = (
    "console=serial0,115200 multipath=off dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable "
    "rootfstype=ext4 rootwait fixrtc"
)
"""Ubuntu 24.04's own line."""
OPTION = ("cgroup_enable=memory",)
PLAIN = "23 1 253:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "system-boot"
    folder.mkdir()
    (folder / "cmdline.txt").write_text(f"{STOCK}\n")
    (folder / "config.txt").write_text("[all]\nkernel=vmlinuz\n")
    return folder


@pytest.fixture
def lab() -> Inventory:
    return load("production")


def wanted(lab: Inventory, name: str = "pi-1") -> Bundle:
    return bundle(lab, Traits(), pins(lab), name)


@pytest.mark.parametrize(
    "before",
    [
        STOCK,
        f"{STOCK}\n",
        f"{STOCK} cgroup_enable=memory",
        f"cgroup_enable=memory {STOCK}\n",
        f"{STOCK}\ncgroup_enable=memory\n",
        f"{STOCK} cgroup_enable=memory cgroup_enable=memory\r\n",
    ],
    ids=["no line feed", "stock", "done", "before the others", "second line", "twice and CRLF"],
)
def test_c28_the_command_line_is_one_line_with_the_option_once_and_last(before: str) -> None:
    after = seeding.command_line(before, OPTION)
    assert after == f"{STOCK} cgroup_enable=memory\n"
    assert seeding.command_line(after, OPTION) == after


def test_a_command_line_that_boots_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="names no root filesystem"):
        seeding.command_line("console=tty1\n", OPTION)


def test_a_card_is_written_once_and_stays_the_same(
    card: Path, lab: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    host = wanted(lab)
    files = seed(lab, Traits(), host, Keys(lab.lab))
    assert set(seeding.write(host, files, card)) == {*files, "cmdline.txt"}
    assert (card / "user-data").read_text().startswith("#cloud-config\n")
    assert "10.1.1.60/24" in (card / "network-config").read_text()
    assert (card / "cmdline.txt").read_text() == f"{STOCK} cgroup_enable=memory\n"
    before = {path.name: path.stat().st_mtime_ns for path in card.iterdir()}
    assert seeding.write(host, files, card) == []
    assert {path.name: path.stat().st_mtime_ns for path in card.iterdir()} == before


@pytest.mark.parametrize("name", ["worker-1", "pi-9"])
def test_only_a_pi_has_a_card(lab: Inventory, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: is no Raspberry Pi of production") as refused:
        seeding.check_host(lab, name)
    assert "pi-1, pi-2" in refused.value.next_step
    seeding.check_host(lab, "pi-1")


@pytest.mark.parametrize("gone", ["cmdline.txt", "config.txt"])
def test_a_folder_without_the_firmwares_files_is_refused(card: Path, gone: str) -> None:
    (card / gone).unlink()
    with pytest.raises(InputError, match=f"no {gone}"):
        seeding.check(card, mounts=PLAIN)


def test_c28_a_newer_layout_is_told_from_a_wrong_folder(card: Path) -> None:
    (card / "current").mkdir()
    (card / "cmdline.txt").rename(card / "current" / "cmdline.txt")
    with pytest.raises(InputError, match=r"25\.10 and later"):
        seeding.check(card, mounts=PLAIN)


def test_a_root_filesystem_is_refused_even_with_these_files(card: Path) -> None:
    (card / "etc").mkdir()
    with pytest.raises(InputError, match="root filesystem"):
        seeding.check(card, mounts=PLAIN)
    with pytest.raises(InputError, match="no such folder"):
        seeding.check(card / "nowhere", mounts=PLAIN)


def test_a_mounted_filesystem_must_be_fat(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    for name in ("cmdline.txt", "config.txt"):
        (folder / name).write_text(STOCK)
    place = str(folder).replace(" ", "\\040")
    mounted = PLAIN + f"40 23 8:2 / {place} rw - ext4 /dev/sdb2 rw\n"
    with pytest.raises(InputError, match="a mounted ext4"):
        seeding.check(folder, mounts=mounted)
    seeding.check(folder, mounts=mounted.replace("- ext4 /dev/sdb2", "- vfat /dev/sdb1"))
    seeding.check(folder, mounts=PLAIN)
