"""Vagrant itself: it takes the Vagrantfile for each backend, and makes a lab by its lxc backend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.inventory.loading import load
from lab.local import Completed, run
from lab.render.vagrant import LXC_BOX, VAGRANTFILE, machines
from lab.ssh import Keys

ROOT = Path(__file__).parents[2]
NAME = "by-vagrant"
VAGRANT_SECONDS = 300
"""A command of Vagrant takes 3 s on a quiet machine, and far longer beside labs that are being built."""
INVENTORY = """
lab: by-vagrant
provider: vagrant
network: {lan: 10.1.1.0/24, gateway: 10.1.1.1}
kubernetes: {single_master: true}
metallb: {pools: [{name: default, addresses: [10.1.1.100-10.1.1.110]}]}
hosts:
  haproxy: {role: load-balancer, address: 10.1.1.50, cpus: 1, memory_gib: 1, disk_gib: 5}
  master-1: {role: control-plane, address: 10.1.1.11, cpus: 2, memory_gib: 2, disk_gib: 5}
  worker-1: {role: worker, address: 10.1.1.31, cpus: 2, memory_gib: 2, disk_gib: 5}
"""
pytestmark = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="Vagrant is not installed: apt-get install vagrant vagrant-lxc"
)


@pytest.mark.parametrize("backend", ["libvirt", "virtualbox", "lxc"])
def test_vagrant_takes_the_file_for_each_backend(backend: str, tmp_path: Path) -> None:
    lab = load("rehearsal", provider="vagrant")
    keys = Keys(lab.lab)
    keys.own()
    (tmp_path / "Vagrantfile").write_text(VAGRANTFILE.read_text())
    (tmp_path / "machines.json").write_text(machines(lab, keys, tmp_path))
    (tmp_path / "seeds").mkdir()
    for name in lab.hosts:  # Vagrant looks whether a disk's file is there, not what it holds
        (tmp_path / "seeds" / f"{name}.iso").touch()
    environment = {**os.environ, "VAGRANT_CWD": str(tmp_path), "VAGRANT_DEFAULT_PROVIDER": backend}
    environment |= {"VAGRANT_EXPERIMENTAL": "disks", "VAGRANT_CHECKPOINT_DISABLE": "1"}
    plugins = run(["vagrant", "plugin", "list"], timeout=VAGRANT_SECONDS, env=environment).stdout
    if backend != "virtualbox" and f"vagrant-{backend}" not in plugins:
        pytest.skip(f"Vagrant does not know {backend} here: apt-get install vagrant-{backend}")
    # VirtualBox is part of Vagrant: without the program itself its block is read and checked all the same
    flags = ["--ignore-provider"] if shutil.which("VBoxManage") is None and backend == "virtualbox" else []
    done = run(["vagrant", "validate", *flags], timeout=VAGRANT_SECONDS, env=environment)
    assert "validated successfully" in done.stdout


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    """The lab's file; the box is there, and nothing of the lab is left afterwards."""
    path = tmp_path / f"{NAME}.yaml"
    path.write_text(INVENTORY)
    if LXC_BOX not in run(["vagrant", "box", "list"], timeout=60).stdout:
        assert _invoke("vagrant.box", "-s", "modules").code == 0
    _invoke("destroy", "-i", str(path))
    yield path
    _invoke("destroy", "-i", str(path))


def _invoke(*arguments: str) -> Completed:
    command = [sys.executable, "-m", "invoke", *arguments]
    environment = {**os.environ, "VAGRANT_DEFAULT_PROVIDER": "lxc"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False, env=environment
    )
    return Completed(done.returncode, done.stdout, done.stderr)


@pytest.mark.long
def test_a_lab_is_made_by_vagrant_proven_and_removed(inventory: Path) -> None:
    where = ["-i", str(inventory)]
    done = _invoke("build", *where, "-s", "modules", "--backend", "lxc")
    assert done.code == 0, done.stdout + done.stderr
    nodes = json.loads(_invoke("kubectl", *where, "-s", "modules", "--", "get nodes -o json").stdout)["items"]
    assert {item["metadata"]["name"] for item in nodes} == {"master-1", "worker-1"}
    assert all(
        condition["status"] == "True"
        for item in nodes
        for condition in item["status"]["conditions"]
        if condition["type"] == "Ready"
    )
    done = _invoke("verify", *where, "--layer", "node", "--layer", "cluster")
    assert done.code == 0, done.stdout + done.stderr
    done = _invoke("destroy", *where)
    assert done.code == 0, done.stdout + done.stderr
    assert "by-vagrant" not in run(["lxc-ls"], timeout=60).stdout
    assert not (ROOT / ".lab" / NAME / "vagrant").exists()
