"""A machine's folder: what is in it, and that it is there whole or not at all."""

from __future__ import annotations

import os
import stat
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from lab.machines import Machine, Volume
from lab.providers.lxc import machine as lxc_machine
from lab.providers.lxc.mark import own_machine


def machine(name: str = "m1", **changes: object) -> Machine:
    known: dict[str, object] = {
        "name": name,
        "interface": IPv4Interface("10.1.1.11/24"),
        "mac": "02:50:4c:0a:01:0b",
        "cpus": 2,
        "memory_mib": 2048,
        "disk_gib": 20,
        "cloud_init": {"user-data": "#cloud-config\n", "meta-data": "instance-id: m1\n"},
    }
    return Machine(**(known | changes))  # type: ignore[arg-type]


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_the_first_boot_finds_names_init_and_a_seed_only_root_reads(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        lxc_machine.build(tmp_path, "x", machine(), [Path("/debian")])
    finally:
        os.umask(previous)
    upper = tmp_path / "m1/upper"
    seed = upper / "var/lib/cloud/seed/nocloud/user-data"
    assert seed.read_text() == "#cloud-config\n"
    assert (upper / "etc/hostname").read_text() == "m1\n"
    assert mode(seed) == 0o600
    assert mode(upper / "usr/local/sbin/plumbline-init") == 0o755
    # These folders cover the ones of the layers: with a umask's mode nobody but root could use the machine.
    assert {mode(folder) for folder in (upper, upper / "etc", upper / "var/lib", upper / "usr")} == {0o755}


def test_machine_ids_are_stable_and_differ_by_name_and_lab(tmp_path: Path) -> None:
    seen = []
    for lab, name in (("x", "m1"), ("x", "m1"), ("x", "m2"), ("y", "m1")):
        lxc_machine.build(tmp_path, lab, machine(name), [])
        seen.append((tmp_path / name / "upper/etc/machine-id").read_text())
        lxc_machine.discard(tmp_path, name, whole=True)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3
    assert all(len(identity) == 33 and int(identity, 16) for identity in seen)


def test_the_mark_tells_what_the_configuration_needs(tmp_path: Path) -> None:
    lxc_machine.build(
        tmp_path, "x", machine(volumes=(Volume("/var/lib/etcd"),)), [Path("/top"), Path("/low")]
    )
    mark = own_machine(tmp_path / "m1", "x")
    assert mark is not None
    assert mark.layers == ("/top", "/low")
    text = lxc_machine.write_config(tmp_path / "m1", mark, "plumbline@x@m1").read_text()
    assert f"{tmp_path}/m1/volumes/0 var/lib/etcd" in text


def test_a_volume_shares_files_with_its_seed_but_not_the_private_ones(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "db").mkdir(parents=True)
    (store / "layer").write_text("big")
    (store / "db/meta.db").write_text("state")
    volume = Volume("/var/lib/containerd", store, ("db/meta.db",))
    lxc_machine.build(tmp_path / "machines", "x", machine(volumes=(volume,)), [])
    folder = tmp_path / "machines/m1/volumes/0"
    assert (folder / "layer").samefile(store / "layer")
    (folder / "db/meta.db").write_text("changed")
    assert (store / "db/meta.db").read_text() == "state"


def test_a_try_that_died_is_replaced_and_never_taken_for_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lxc_machine, "write_mark", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            lxc_machine.build(tmp_path, "x", machine(), [])
    assert not (tmp_path / "m1").exists()
    assert lxc_machine.half_made(tmp_path) == {"m1"}
    lxc_machine.build(tmp_path, "x", machine(), [])
    assert lxc_machine.half_made(tmp_path) == set()
    assert own_machine(tmp_path / "m1", "x")


def test_discarding_a_half_made_machine_leaves_a_foreign_folder_of_its_name(tmp_path: Path) -> None:
    for name in (".new-m1", ".gone-m1", "m1"):
        (tmp_path / name).mkdir()
    lxc_machine.discard(tmp_path, "m1", whole=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m1"]


@pytest.mark.parametrize("name", ["../outside", "a/b", "/etc"])
def test_nothing_outside_the_folder_of_machines_is_ever_removed(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a machine"):
        lxc_machine.discard(tmp_path / "machines", name, whole=False)


def test_a_machine_has_its_own_copy_of_settings_it_may_write(tmp_path: Path) -> None:
    lxc_machine.build(tmp_path, "x", machine(), [])
    assert (tmp_path / "m1/sysctl/kernel/panic").read_text() == Path("/proc/sys/kernel/panic").read_text()
