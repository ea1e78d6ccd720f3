"""The kernel's account of a machine, read from made-up cgroup trees of both versions."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lab.errors import DeadlineError
from lab.machines import State
from lab.providers.lxc.cgroups import Cgroups


def version_1(root: Path) -> Cgroups:
    for hierarchy in ("freezer", "memory", "unified"):
        (root / hierarchy).mkdir()
    mounts = (
        f"cgroup {root}/memory cgroup rw,relatime,memory 0 0\n"
        f"cgroup {root}/freezer cgroup rw,relatime,freezer 0 0\n"
        f"cgroup2 {root}/unified cgroup2 rw,relatime 0 0\n"
        "proc /proc proc rw 0 0\n"
    )
    return Cgroups("x", mounts)


def machine(root: Path, **files: str) -> Path:
    folder = root / "plumbline@x@m1/machine"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_without_a_folder_the_machine_is_off(tmp_path: Path) -> None:
    assert version_1(tmp_path).state("m1") is State.OFF


def test_version_1_running_frozen_and_on_its_way_to_frozen(tmp_path: Path) -> None:
    cgroups = version_1(tmp_path)
    folder = machine(tmp_path / "freezer", cgroup_procs="17\n18\n", freezer_state="THAWED\n")
    assert cgroups.state("m1") is State.RUNNING
    (folder / "freezer.state").write_text("FREEZING\n")
    assert cgroups.state("m1") is State.RUNNING
    (folder / "freezer.state").write_text("FROZEN\n")
    assert cgroups.state("m1") is State.PAUSED


def test_version_1_with_no_process_left_is_off_even_if_frozen(tmp_path: Path) -> None:
    cgroups = version_1(tmp_path)
    machine(tmp_path / "freezer", cgroup_procs="", freezer_state="FROZEN\n")
    assert cgroups.state("m1") is State.OFF


def test_version_2_counts_processes_below_the_folder(tmp_path: Path) -> None:
    cgroups = Cgroups("x", f"cgroup2 {tmp_path} cgroup2 rw,nsdelegate 0 0\n")
    folder = machine(tmp_path, cgroup_procs="", cgroup_events="populated 1\nfrozen 0\n")
    assert cgroups.state("m1") is State.RUNNING
    (folder / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert cgroups.state("m1") is State.PAUSED
    (folder / "cgroup.events").write_text("populated 0\nfrozen 0\n")
    assert cgroups.state("m1") is State.OFF


def test_freezing_writes_the_order_of_version_1(tmp_path: Path) -> None:
    cgroups = version_1(tmp_path)
    folder = machine(tmp_path / "freezer", cgroup_procs="17\n", freezer_state="THAWED")
    cgroups.freeze("m1", True)
    assert (folder / "freezer.state").read_text() == "FROZEN"
    cgroups.freeze("m1", False)
    assert (folder / "freezer.state").read_text() == "THAWED"


@pytest.mark.parametrize("why", [errno.ENOENT, errno.ENODEV])
def test_a_cgroup_that_goes_while_it_is_looked_at_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    cgroups = version_1(tmp_path)
    machine(tmp_path / "freezer", cgroup_procs="17\n", freezer_state="THAWED\n")

    def going(*_: object, **__: object) -> str:
        raise OSError(why, "going")

    monkeypatch.setattr(Path, "read_text", going)
    monkeypatch.setattr(Path, "write_text", going)
    assert cgroups.state("m1") is State.OFF
    with pytest.raises(DeadlineError, match="m1: running"):
        monkeypatch.setattr("lab.providers.lxc.cgroups._SECONDS", 0.02)
        cgroups.freeze("m1", False)


def test_killing_a_machine_that_is_off_kills_nothing(tmp_path: Path) -> None:
    assert version_1(tmp_path).kill("m1") is False


def test_folders_of_a_machine_are_found_and_removed_in_every_hierarchy(tmp_path: Path) -> None:
    cgroups = version_1(tmp_path)
    for hierarchy in ("freezer", "memory"):
        (tmp_path / hierarchy / "plumbline@x@m1/machine/system.slice").mkdir(parents=True)
    (tmp_path / "unified/plumbline@x@m2/pivot").mkdir(parents=True)
    (tmp_path / "memory/plumbline@xx@m3").mkdir()
    assert cgroups.names() == {"m1", "m2"}
    assert cgroups.remove("m1")
    assert not cgroups.remove("m1")
    assert cgroups.names() == {"m2"}
    assert cgroups.folders() == [tmp_path / "unified/plumbline@x@m2"]
