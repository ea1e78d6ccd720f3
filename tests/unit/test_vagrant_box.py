"""The box of Vagrant's lxc backend: what vagrant-lxc unpacks from it is the tree, with our init beside it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from lab.providers.lxc.config import INIT, init_text
from lab.providers.vagrant.box import added_box, made_of, make_box

STRIPPED = 2
"""Leading parts that vagrant-lxc's template takes from each name (scripts/lxc-template)."""


def test_a_box_of_another_time_is_no_box_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAGRANT_HOME", str(tmp_path))
    assert added_box() == ""
    file = tmp_path / "boxes" / "plumbline-VAGRANTSLASH-debian-12" / "0" / "lxc" / "metadata.json"
    file.parent.mkdir(parents=True)
    for text, found in (
        ('{"provider": "lxc", "version": "1.0.0"}', ""),
        ("{", ""),
        (json.dumps({"provider": "lxc", "made_of": made_of("debian-amd64-1")}), made_of("debian-amd64-1")),
    ):
        file.write_text(text)
        assert added_box() == found
    assert made_of("debian-amd64-1") != made_of("debian-amd64-2")


def test_a_box_unpacks_to_the_tree_and_our_init(tmp_path: Path) -> None:
    tree, work = tmp_path / "tree", tmp_path / "work"
    (tree / "usr" / "bin").mkdir(parents=True)
    work.mkdir()
    (tree / "usr" / "bin" / "true").write_text("#!/bin/sh\n")
    (tree / "usr" / "bin" / "true").chmod(0o755)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "mtab").symlink_to("../proc/self/mounts")

    box = make_box(tree, work)

    with tarfile.open(box) as tar:
        assert tar.getnames() == ["metadata.json", "rootfs.tar.gz"]
        tar.extractall(tmp_path / "box", filter="data")
    assert json.loads((tmp_path / "box" / "metadata.json").read_text()) == {
        "provider": "lxc",
        "version": "1.0.0",
        "made_of": made_of("tree"),
    }
    with tarfile.open(tmp_path / "box" / "rootfs.tar.gz") as tar:
        found = {
            "/".join(member.name.split("/")[STRIPPED:]): member for member in tar if member.name != "./rootfs"
        }
        assert {name for name in found if name.startswith("usr/bin/")} == {"usr/bin/true"}
        assert (found["bin"].linkname, found["mtab"].linkname) == ("usr/bin", "../proc/self/mounts")
        init = found[INIT.lstrip("/")]
        assert (init.mode, init.uid, init.gid) == (0o755, 0, 0)
        held = tar.extractfile(init)
        assert held
        assert held.read().decode() == init_text()
