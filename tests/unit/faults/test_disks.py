"""Faults of etcd's disk as their scripts do them, on a master that is a folder.

The kubelet, etcd and etcdctl are programs of a line or two. Mounts are made in a namespace of their own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.faults import disks
from lab.faults.on_host import undoing

MANIFEST = "spec:\n  containers:\n  - command:\n    - etcd\n    - --name=master-1\n    name: etcd\n"
STATUS = '[{"Status":{"header":{"revision":77},"dbSize":4096}}]'
PROGRAMS = {
    # etcd is there as long as its manifest is, or hangs
    "pgrep": "test -e manifests/etcd.yaml || test -e hangs",
    "crictl": "true",
    "sleep": "true",
    "systemctl": "true",
    "etcdctl": f"echo $1 $2 >>asked; test ! -e fails-$1 && test -e manifests/etcd.yaml && echo '{STATUS}'",
}
FILL = f"dd if=/dev/zero of={disks.DATA}/member/more bs=4k count=1"
WRITE = f"echo written while it was full >{disks.DATA}/member/wal"


class FakeMaster:
    """A folder that is etcd's part of a master."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("bin", "manifests", "etcd/member", "kept"):
            (root / folder).mkdir(parents=True)
        for name, text in PROGRAMS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        self.manifest.write_text(MANIFEST)
        self.wal.write_text("as it was")
        with (root / "etcd/member/log").open("w") as log:
            log.truncate(1 << 20)

    @property
    def manifest(self) -> Path:
        return self.root / "manifests/etcd.yaml"

    @property
    def wal(self) -> Path:
        return self.root / "etcd/member/wal"

    def asked(self) -> list[str]:
        return (self.root / "asked").read_text().splitlines()

    def run(self, *scripts: str) -> list[int]:
        """Each script's exit code; all see the same mounts, which are nobody else's."""
        places = {
            disks.MANIFESTS: "manifests",
            disks.SMALL: "small",
            disks.DATA: "etcd",
            "/var/lib/plumbline": "kept",
            "/run/plumbline-heal": "heal",
        }
        for number, script in enumerate(scripts):
            for path, place in places.items():
                script = script.replace(path, str(self.root / place))
            (self.root / f"{number}.sh").write_text(script)
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                f"for n in $(seq 0 {len(scripts) - 1}); do sh $n.sh; echo $?; done",
            ],
            cwd=self.root,
            env={"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [int(line) for line in done.stdout.splitlines() if line.isdigit()]


@pytest.fixture
def master(tmp_path: Path) -> FakeMaster:
    if os.geteuid() != 0:
        pytest.skip("mounts need root")
    return FakeMaster(tmp_path)


def test_a_full_disk_has_no_byte_left_and_what_was_written_on_it_is_kept(master: FakeMaster) -> None:
    heal = undoing(disks.FULL_UNDONE)
    codes = master.run(disks.FULL, f"! {FILL}", WRITE, heal, heal)
    assert codes == [0, 0, 0, 0, 0]
    assert master.wal.read_text() == "written while it was full\n"
    assert master.manifest.read_text() == MANIFEST
    assert not (master.root / "kept/etcd.yaml").exists()


def test_what_the_log_has_set_aside_is_no_room(master: FakeMaster) -> None:
    beyond = f"! dd if=/dev/zero of={disks.DATA}/member/log bs=4k count=1 seek=9 conv=notrunc"
    assert master.run(disks.FULL, beyond) == [0, 0]


def test_a_copy_that_broke_off_never_replaces_the_data(master: FakeMaster) -> None:
    broken = disks.FULL.replace("touch", "false; touch")
    lost = f"rm {disks.SMALL}/member/wal"
    codes = master.run(broken, lost, undoing(disks.FULL_UNDONE))
    assert codes == [1, 0, 0]
    assert master.wal.read_text() == "as it was"
    assert master.manifest.read_text() == MANIFEST


def test_a_healing_that_broke_off_is_finished_by_the_next(master: FakeMaster) -> None:
    stuck = disks.FULL_UNDONE.replace("mv ", "false; mv ", 1)
    codes = master.run(disks.FULL, WRITE, undoing(stuck), undoing(disks.FULL_UNDONE))
    assert codes == [0, 0, 1, 0]
    assert master.wal.read_text() == "written while it was full\n"


def test_a_quota_is_what_the_data_takes_and_is_taken_back(master: FakeMaster) -> None:
    look = f"cp {disks.MANIFESTS}/etcd.yaml seen"
    assert master.run(disks.QUOTA, look, undoing(disks.QUOTA_UNDONE)) == [0, 0, 0]
    seen = (master.root / "seen").read_text()
    assert seen == MANIFEST.replace("- etcd\n", "- etcd\n    - --quota-backend-bytes=4096\n")
    assert master.manifest.read_text() == MANIFEST
    assert master.asked()[-3:] == ["compact 77", "defrag --cluster", "alarm disarm"]
    assert not (master.root / "kept/etcd.yaml").exists()


@pytest.mark.parametrize("step", ["defrag", "alarm"])
def test_a_cure_that_failed_is_not_said_to_be_done(master: FakeMaster, step: str) -> None:
    (master.root / f"fails-{step}").touch()
    again = f"rm {master.root}/fails-{step}"
    heal = undoing(disks.QUOTA_UNDONE)
    assert master.run(disks.QUOTA, heal, again, heal) == [0, 1, 0, 0]
    assert master.asked()[-1] == "alarm disarm"


def test_a_member_that_does_not_stop_is_left_as_it_is(master: FakeMaster) -> None:
    (master.root / "hangs").touch()
    assert master.run(disks.FULL) == [1]
    assert master.wal.read_text() == "as it was"
    assert not (master.root / "small").exists()
