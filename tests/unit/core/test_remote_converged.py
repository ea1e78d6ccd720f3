"""What the program changes on a host: files, units, sysctls, and actions that a killed run still owes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import CommandError
from lab.hosts.changes import HostChange
from lab.hosts.converge import apply, compare, look
from lab.render.bundle import File
from lab.render.role import Unit
from tests.unit.core.here import OWNER, HereSsh, bundle, converge, file, mode


def test_a_missing_file_is_written_with_its_folder_mode_and_owner(ssh: HereSsh, tmp_path: Path) -> None:
    path = tmp_path / "etc" / "new" / "file.conf"
    wanted = bundle(file(path, "für\n", "0600"))
    assert converge(ssh, wanted) == [f"write {path}"]
    assert path.read_text() == "für\n"
    assert mode(path) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file.conf"]
    assert converge(ssh, wanted) == []


def test_what_an_earlier_inventory_left_is_told_and_removed_and_nothing_else(
    ssh: HereSsh, tmp_path: Path
) -> None:
    """A mirror that is no longer in the inventory would be asked for images for ever."""
    for name in ("docker.io", "quay.io", "hand/made"):
        (tmp_path / "certs.d" / name).mkdir(parents=True)
        (tmp_path / "certs.d" / name / "hosts.toml").write_text("wanted\n")
    (tmp_path / "certs.d" / "quay.io" / "ca.crt").touch()
    kept = file(tmp_path / "certs.d" / "docker.io" / "hosts.toml")
    owned = (str(tmp_path / "certs.d" / "*" / "hosts.toml"),)
    stale = tmp_path / "certs.d" / "quay.io" / "hosts.toml"
    wanted = replace(bundle(kept), owned=owned)
    (change,) = compare(wanted, look(ssh, wanted))
    assert change.sentence == f"remove {stale}"
    assert "-wanted\n" in change.diff
    assert stale.exists(), "a look removes nothing"
    assert converge(ssh, wanted) == [f"remove {stale}"]
    left = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "certs.d").rglob("*"))
    assert left == [
        *("certs.d/docker.io", "certs.d/docker.io/hosts.toml", "certs.d/hand", "certs.d/hand/made"),
        *("certs.d/hand/made/hosts.toml", "certs.d/quay.io", "certs.d/quay.io/ca.crt"),
    ]
    (tmp_path / "certs.d" / "quay.io" / "ca.crt").unlink()
    stale.write_text("wanted\n")
    assert converge(ssh, wanted) == [f"remove {stale}"]
    assert not stale.parent.exists()
    assert converge(ssh, wanted) == []


def test_content_on_its_way_is_never_open_to_others(ssh: HereSsh, tmp_path: Path) -> None:
    """A write that ends half-way (no such owner) leaves its part, which nobody else may read."""
    wanted = bundle(File(str(tmp_path / "key"), "secret\n", "no-such-user:root", "0644", ()))
    with pytest.raises(CommandError, match="no-such-user"):
        converge(ssh, wanted)
    assert not (tmp_path / "key").exists()
    assert mode(tmp_path / "key.plumbline") == 0o600


def test_another_mode_is_mended_without_touching_the_content(ssh: HereSsh, tmp_path: Path, log: Path) -> None:
    path = tmp_path / "file"
    path.write_text("wanted\n")
    path.chmod(0o666)
    wanted = bundle(file(path, "wanted\n", "0644", "reload haproxy"))
    assert converge(ssh, wanted) == [f"{path}: 0666 {OWNER} -> 0644 {OWNER}"]
    assert mode(path) == 0o644
    assert log.read_text() == ""
    assert converge(ssh, wanted) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_another_owner_is_mended(ssh: HereSsh, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("wanted\n")
    path.chmod(0o644)
    os.chown(path, 1, 1)
    assert len(converge(ssh, bundle(file(path)))) == 1
    assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid())


def test_a_linked_file_stays_a_link_and_converges(ssh: HereSsh, tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "resolv.conf"
    target.write_text("old\n")
    target.chmod(0o600)
    path.symlink_to(target)
    wanted = bundle(file(path))
    converge(ssh, wanted)
    assert path.is_symlink()
    assert target.read_text() == "wanted\n"
    assert converge(ssh, wanted) == []


def test_every_action_runs_once_and_daemon_reload_before_all(ssh: HereSsh, tmp_path: Path, log: Path) -> None:
    wanted = bundle(
        file(tmp_path / "config", "x", "0644", "restart containerd"),
        file(tmp_path / "unit", "x", "0644", "daemon-reload", "restart containerd"),
        file(tmp_path / "dropin", "x", "0644", "daemon-reload", "try-restart kubelet"),
    )
    converge(ssh, wanted)
    assert log.read_text().splitlines() == [
        "systemctl daemon-reload",
        "systemctl restart containerd",
        "systemctl try-restart kubelet",
    ]


def test_files_are_there_before_their_actions_run(ssh: HereSsh, tmp_path: Path) -> None:
    probe = tmp_path / "bin" / "systemctl"
    probe.write_text(f'#!/bin/sh\ncat "{tmp_path}/late" >> "$LOG"\n')
    first = file(tmp_path / "early", "x", "0644", "restart a")
    changes = [
        HostChange("one", file=first, commands=(("systemctl", "restart", "a"),)),
        HostChange("two", file=file(tmp_path / "late", "written\n")),
    ]
    apply(ssh, "m1", changes)
    assert (tmp_path / "commands").read_text() == "written\n"


def test_units_are_enabled_and_started_as_their_role_says(ssh: HereSsh, log: Path) -> None:
    units = (
        Unit(name="good.service"),
        Unit(name="off.service"),
        Unit(name="late.service", started_by="kubeadm"),
    )
    assert converge(ssh, bundle(units=units)) == [
        "enable off.service",
        "start off.service (it is failed)",
        "enable late.service",
    ]
    assert log.read_text().splitlines() == [
        "systemctl enable --quiet off.service",
        "systemctl reset-failed off.service",
        "systemctl start off.service",
        "systemctl enable --quiet late.service",
    ]


def test_a_sysctl_that_differs_is_set(ssh: HereSsh, log: Path) -> None:
    assert converge(ssh, bundle(sysctls={"kernel.ostype": "Hurd"})) == ["sysctl kernel.ostype: Linux -> Hurd"]
    assert log.read_text() == "sysctl --quiet -w kernel.ostype=Hurd\n"


def test_a_failed_action_tells_host_command_code_and_output(ssh: HereSsh, tmp_path: Path, log: Path) -> None:
    wanted = bundle(
        file(tmp_path / "a", "x", "0644", "reload broken"), file(tmp_path / "b", "x", "0644", "reload after")
    )
    with pytest.raises(CommandError, match=r"Job for broken.service failed") as failed:
        converge(ssh, wanted)
    assert (failed.value.host, failed.value.command, failed.value.code) == (
        "m1",
        "systemctl try-reload-or-restart broken",
        5,
    )
    assert log.read_text().splitlines() == ["systemctl try-reload-or-restart broken"]


def test_actions_that_a_failed_or_killed_run_still_owes_are_done_by_the_next_one(
    ssh: HereSsh, tmp_path: Path, log: Path, pending: Path
) -> None:
    wanted = bundle(
        file(tmp_path / "a", "x", "0644", "reload broken"), file(tmp_path / "b", "x", "0644", "reload after")
    )
    with pytest.raises(CommandError):
        converge(ssh, wanted)
    assert pending.exists()
    log.write_text("")
    mended = (tmp_path / "bin/systemctl").read_text().replace("!= broken", "!= nothing")
    (tmp_path / "bin/systemctl").write_text(mended)
    assert converge(ssh, wanted) == [
        "finish what an earlier run began: systemctl try-reload-or-restart broken",
        "finish what an earlier run began: systemctl try-reload-or-restart after",
    ]
    assert log.read_text().splitlines() == [
        "systemctl try-reload-or-restart broken",
        "systemctl try-reload-or-restart after",
    ]
    assert not pending.exists()
    assert converge(ssh, wanted) == []


def test_a_mode_is_mended_without_a_new_time_of_the_file(ssh: HereSsh, tmp_path: Path) -> None:
    """A newer file would call for a restart of whoever reads it."""
    path = tmp_path / "file"
    path.write_text("wanted\n")
    path.chmod(0o600)
    os.utime(path, (1000, 1000))
    assert converge(ssh, bundle(file(path))) == [f"{path}: 0600 {OWNER} -> 0644 {OWNER}"]
    assert (mode(path), path.stat().st_mtime) == (0o644, 1000)
