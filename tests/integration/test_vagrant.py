"""Vagrant itself: it takes the Vagrantfile for each backend, and makes a lab by its lxc backend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from lab.inventory.loading import load
from lab.inventory.models import Inventory
from lab.local import Completed, run
from lab.providers.lxc.network import LabNetwork
from lab.providers.vagrant.commands import VagrantCommands
from lab.providers.vagrant.config import LXC_BOX, VAGRANTFILE, machines, management_mac
from lab.providers.vagrant.preflight import gather
from lab.ssh import Keys

ROOT = Path(__file__).parents[2]
RESOLVED = Path(__file__).with_name("vagrant_resolved.rb")
NAME = "by-vagrant"
VAGRANT_SECONDS = 300
"""A command of Vagrant takes 3 s on a quiet machine, and far longer beside labs that are being built."""
INVENTORY = """
lab: by-vagrant
provider: vagrant
disposable: true
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


@dataclass(frozen=True)
class Folder:
    """What stands beside the Vagrantfile of one inventory, for one backend."""

    lab: Inventory
    keys: Keys
    path: Path
    backend: str

    def run(self, *argv: str) -> str:
        """Standard output of a program that reads the Vagrantfile."""
        environment = {**os.environ, "VAGRANT_CWD": str(self.path), "VAGRANT_DEFAULT_PROVIDER": self.backend}
        environment |= {"VAGRANT_EXPERIMENTAL": "disks", "VAGRANT_CHECKPOINT_DISABLE": "1"}
        return run(argv, timeout=VAGRANT_SECONDS, env=environment).stdout

    def seed(self, name: str) -> str:
        """Where a machine's seed lies as a disk."""
        return str(self.path / "seeds" / f"{name}.iso")


@pytest.fixture(scope="module", params=["libvirt", "virtualbox", "lxc"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The production topology for Vagrant: machines of several sizes and systems."""
    lab = load("production", provider="vagrant")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLUMBLINE_DATA", str(tmp_path_factory.mktemp("data")))
        keys = Keys(lab.lab)
    keys.own()
    made = Folder(lab, keys, tmp_path_factory.mktemp(request.param), request.param)
    (made.path / "Vagrantfile").write_text(VAGRANTFILE.read_text())
    (made.path / "machines.json").write_text(machines(lab, made.keys, made.path))
    (made.path / "seeds").mkdir()
    for name in lab.hosts:  # Vagrant looks whether a disk's file is there, not what it holds
        Path(made.seed(name)).touch()
    plugins = made.run("vagrant", "plugin", "list")
    if made.backend != "virtualbox" and f"vagrant-{made.backend}" not in plugins:
        pytest.skip(f"Vagrant does not know {made.backend} here: apt-get install vagrant-{made.backend}")
    return made


def test_vagrant_takes_the_file_for_each_backend(folder: Folder) -> None:
    # VirtualBox is part of Vagrant: without the program itself its block is read and checked all the same
    absent = shutil.which("VBoxManage") is None and folder.backend == "virtualbox"
    flags = ["--ignore-provider"] if absent else []
    assert "validated successfully" in folder.run("vagrant", "validate", *flags)


def test_what_vagrant_resolves_is_what_the_inventory_says(folder: Folder) -> None:
    """Vagrant's own reading of the file, by its Ruby interface, machine for machine."""
    resolved = json.loads(folder.run("ruby", str(RESOLVED), str(folder.path), folder.backend))
    assert list(resolved) == list(folder.lab.hosts)
    expected = {"libvirt": libvirt, "virtualbox": virtualbox, "lxc": lxc}[folder.backend]
    for name, host in folder.lab.hosts.items():
        found = resolved[name]
        assert found["user"] == folder.lab.ssh.user
        assert found["key"] == [str(folder.keys.identity)]
        assert not found["insert_key"]
        assert found["folders"] == []
        assert found["box"] == (LXC_BOX if folder.backend == "lxc" else f"cloud-image/{host.os}")
        assert [options["guest"] for kind, options in found["networks"] if kind == "forwarded_port"] == [22]
        networks = [options for kind, options in found["networks"] if kind == "private_network"]
        expected(folder, name, found, networks)


def libvirt(folder: Folder, name: str, found: Any, networks: list[Any]) -> None:
    """vagrant-libvirt: a network of the lab's own without DHCP, a card of Vagrant's, the seed as a CD."""
    host, network, settings = folder.lab.hosts[name], folder.lab.network, found["settings"]
    assert [
        {key: value for key, value in item.items() if key not in ("id", "protocol")} for item in networks
    ] == [
        {
            "ip": str(host.address),
            "mac": folder.lab.mac(name),
            "auto_config": False,
            "libvirt__network_name": f"plumbline-{folder.lab.lab}",
            "libvirt__netmask": str(network.lan.netmask),
            "libvirt__host_ip": str(network.gateway),
            "libvirt__dhcp_enabled": False,
            "libvirt__forward_mode": "nat",
        }
    ]
    assert (settings["cpus"], settings["memory"]) == (host.cpus, host.memory_gib * 1024)
    assert settings["machine_virtual_size"] == host.disk_gib
    assert settings["management_network_mac"] == management_mac(folder.lab, name)
    assert [item["path"] for item in settings["cdroms"]] == [folder.seed(name)]
    assert settings["default_prefix"] == f"plumbline-{folder.lab.lab}-"
    assert found["disks"] == [], "the CD is the plugin's, not Vagrant's own kind of disk"


def virtualbox(folder: Folder, name: str, found: Any, networks: list[Any]) -> None:
    """VirtualBox: NAT first with the MAC that the seed matches, then the host-only card."""
    host, settings = folder.lab.hosts[name], found["settings"]
    [card] = networks
    assert (card["ip"], card["netmask"]) == (str(host.address), str(folder.lab.network.lan.netmask))
    assert card["mac"] == folder.lab.mac(name).replace(":", "")
    assert card["auto_config"] is False
    assert found["base_mac"] == management_mac(folder.lab, name).replace(":", "")
    assert settings["name"] == f"plumbline-{folder.lab.lab}-{name}"
    told = dict(command[2:] for _when, command in settings["customizations"])
    assert told == {
        "--cpus": host.cpus,
        "--memory": str(host.memory_gib * 1024),
        "--nicpromisc2": "allow-vms",
    }
    assert found["disks"] == [
        {"type": "disk", "primary": True, "size": f"{host.disk_gib}GB", "file": None},
        {"type": "dvd", "primary": False, "size": None, "file": folder.seed(name)},
    ]


def lxc(folder: Folder, name: str, found: Any, networks: list[Any]) -> None:
    """vagrant-lxc: one card on the lab's switch; the seed is a folder that is bound into the machine."""
    settings = found["settings"]
    assert settings["container_name"] == f"plumbline-{folder.lab.lab}-{name}"
    assert settings["ssh_ip_addr"] == str(folder.lab.hosts[name].address)
    lines = [tuple(line) for line in settings["customizations"]]
    assert ("net.0.hwaddr", folder.lab.mac(name)) in lines
    assert [value for key, value in lines if key == "net.0.type"] == ["veth"]
    [seed] = [value.split()[0] for key, value in lines if "nocloud" in value]
    assert seed == str(folder.path / "seeds" / name)
    assert (networks, found["disks"]) == ([], [])


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    """The lab's file; the box is there, and nothing of the lab is left afterwards."""
    path = tmp_path / f"{NAME}.yaml"
    path.write_text(INVENTORY)
    if not gather("lxc", tmp_path).box:
        assert _invoke("vagrant.box").code == 0
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


def _by_hand(*arguments: str) -> str:
    """What a person types in the lab's folder, inside `invoke shell`."""
    inside = ["nsenter", f"--net=/run/netns/plumbline-{NAME}", "vagrant", *arguments]
    environment = {**os.environ, "VAGRANT_CWD": str(ROOT / ".lab" / NAME / "vagrant")}
    return run(inside, timeout=VAGRANT_SECONDS, env=environment).stdout


def _commands() -> VagrantCommands:
    """Vagrant in the lab's folder, inside the lab's network."""
    folder = ROOT / ".lab" / NAME / "vagrant"
    return VagrantCommands(folder, "lxc", LabNetwork(NAME, folder, IPv4Interface("10.1.1.1/24")))


def _ready(where: list[str]) -> dict[str, bool]:
    """Nodes, and whether they are Ready."""
    nodes = json.loads(_invoke("kubectl", *where, "-s", "modules", "--", "get nodes -o json").stdout)["items"]
    found = {}
    for node in nodes:
        conditions = {item["type"]: item["status"] for item in node["status"]["conditions"]}
        found[node["metadata"]["name"]] = conditions["Ready"] == "True"
    return found


@pytest.mark.long
def test_a_lab_is_made_by_vagrant_proven_and_removed(inventory: Path) -> None:
    where = ["-i", str(inventory)]
    done = _invoke("build", *where, "-s", "modules", "--backend", "lxc")
    assert done.code == 0, done.stdout + done.stderr
    assert _ready(where) == {"master-1": True, "worker-1": True}
    assert _by_hand("ssh", "worker-1", "-c", "hostname").strip() == "worker-1"
    lab = load(str(inventory))
    way = _commands().conf(vm_name="worker-1")
    assert (way["HostName"], way["User"]) == (str(lab.hosts["worker-1"].address), lab.ssh.user)
    assert way["IdentityFile"] == str(Keys(NAME).identity)

    _by_hand("halt", "worker-1")
    commands = _commands()
    states = {item.name: item.state for item in commands.status() if item.state}
    assert states == {"haproxy": "running", "master-1": "running", "worker-1": "stopped"}
    done = _invoke("build", *where, "-s", "modules")
    assert done.code == 0, done.stdout + done.stderr
    assert _ready(where) == {"master-1": True, "worker-1": True}
    done = _invoke("verify", *where, "--layer", "node", "--layer", "cluster")
    assert done.code == 0, done.stdout + done.stderr
    done = _invoke("destroy", *where)
    assert done.code == 0, done.stdout + done.stderr
    assert "by-vagrant" not in run(["lxc-ls"], timeout=60).stdout
    assert not (ROOT / ".lab" / NAME / "vagrant").exists()
