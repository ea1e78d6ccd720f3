"""A mixed lab: machines that are made, and one that exists already and stands on their switch.

The one that exists is a system container that this test makes in a lab of its own, with a login, our key and
a host key of its own: what a person prepares. Nothing of Plumbline's seed is in it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from lab.artifacts.provide import provide, stock
from lab.artifacts.rootfs import debian_tree
from lab.artifacts.store import Store
from lab.artifacts.wanted import wanted
from lab.console import Console
from lab.hosts.changes import HostChange
from lab.hosts.converge import compare, look
from lab.hosts.release import release
from lab.inventory.loading import load
from lab.labs import Lab
from lab.local import Completed, run
from lab.machines import Machine, State, Volume
from lab.providers.lxc.face import MACHINES
from lab.providers.lxc.provider import LxcProvider
from lab.render.roles import all_packages
from lab.runs import Run
from lab.ssh import Keys, key_pair, ssh_for
from lab.steps import hosts
from lab.steps.context import Context
from lab.waits import NotYet, wait_for
from tests.soon import SOON

ROOT = Path(__file__).parents[2]
NAME, ELSEWHERE = "existing", "existing-owner"
INVENTORY = """
lab: existing
provider: lxc
network: {{lan: 10.1.1.0/24, gateway: 10.1.1.1}}
kubernetes: {{single_master: true}}
metallb: {{pools: [{{name: default, addresses: [10.1.1.100-10.1.1.110]}}]}}
hosts:
  haproxy: {{role: load-balancer, address: 10.1.1.50, cpus: 1, memory_gib: 1, disk_gib: 5}}
  master-1: {{role: control-plane, address: 10.1.1.11, cpus: 2, memory_gib: 2, disk_gib: 5}}
  worker-1: {{role: worker, address: 10.1.1.31, cpus: 2, memory_gib: 2, disk_gib: 5}}
  old-iron:
    role: worker
    address: 10.1.1.32
    provider: static
    os: {os}
    host_key: {host_key}
    cpus: {cpus}
    memory_gib: 2
    disk_gib: 5
    labels: {{example.com/kind: iron}}
"""
USER_DATA = """#cloud-config
hostname: old-iron
locale: C.UTF-8
manage_etc_hosts: localhost
ssh_deletekeys: true
ssh_keys:
  ed25519_private: {private}
  ed25519_public: {public}
users:
  - name: plumbline
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    lock_passwd: true
    shell: /bin/bash
    ssh_authorized_keys: ["{key}"]
"""
NETWORK = """version: 2
ethernets:
  lan:
    match: {macaddress: "02:50:4c:00:00:32"}
    set-name: eth0
    addresses: ["10.1.1.32/24"]
    routes: [{to: "0.0.0.0/0", via: 10.1.1.1}]
"""


@dataclass(frozen=True)
class Iron:
    """The machine that exists, its owner's way to it, and the lab's inventory."""

    owner: LxcProvider
    public: str
    folder: Path

    def inventory(self, *, os: str = "debian-12", cpus: int = 2) -> Path:
        """The inventory's file; other values than the machine has are for refusals."""
        path = self.folder / f"existing-{os}-{cpus}.yaml"
        path.write_text(INVENTORY.format(os=os, host_key=self.public, cpus=cpus))
        return path

    def invoke(self, *arguments: str, inventory: Path | None = None) -> Completed:
        """One task on the lab, to its end."""
        task, *rest = arguments
        command = [sys.executable, "-m", "invoke", task, "-i", str(inventory or self.inventory()), *rest]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
        return Completed(done.returncode, done.stdout, done.stderr)

    def on_iron(self, command: str) -> str:
        """Output of a command that root runs on the machine, over its owner's network."""
        config = ssh_for(load(str(self.inventory())), ROOT).config  # destroy removes it
        inside = ["nsenter", f"--net=/run/netns/plumbline-{ELSEWHERE}"]
        argv = [
            *inside,
            "ssh",
            "-F",
            str(config),
            "-o",
            "BatchMode=yes",
            "old-iron",
            f"sudo sh -c '{command}'",
        ]
        return run(argv, timeout=SOON).stdout


@pytest.fixture(scope="module")
def iron(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iron]:
    """The machine runs and stands on the lab's switch; all of it is gone afterwards."""
    folder = tmp_path_factory.mktemp("iron")
    key = key_pair(folder / "host_key", "old-iron")
    tree = debian_tree(Store(), all_packages(), "amd64", say=print)
    owner = LxcProvider(ELSEWHERE, MACHINES / ELSEWHERE, IPv4Interface("10.1.1.2/24"), (tree,))
    network = LxcProvider(NAME, MACHINES / NAME, IPv4Interface("10.1.1.1/24"), ())
    made = Iron(owner, " ".join(key.public.split()[:2]), folder)
    owner.clean()
    made.invoke("destroy", "--yes", NAME)
    seed = USER_DATA.format(private=json.dumps(key.private), public=key.public, key=Keys(NAME).own().public)
    files = {
        "user-data": seed,
        "meta-data": "instance-id: old-iron\nlocal-hostname: old-iron\n",
        "network-config": NETWORK,
    }
    volumes = tuple(Volume(f"/var/lib/{name}") for name in ("containerd", "kubelet", "etcd"))
    interface = IPv4Interface("10.1.1.32/24")
    try:
        owner.prepare()
        network.prepare()
        owner.create(Machine("old-iron", interface, "02:50:4c:00:00:32", 2, 2048, 5, files, volumes))
        _join(f"plumbline-{NAME}", f"plumbline-{ELSEWHERE}")
        wait_for("SSH of old-iron", lambda: _answers(interface), seconds=SOON)
        yield made
    finally:
        made.invoke("destroy", "--yes", NAME)
        owner.clean()
        network.clean()


def _join(one: str, other: str) -> None:
    """A cable between the switches of two labs."""
    run(
        ["ip", "-n", one, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", other],
        timeout=SOON,
    )
    for name in (one, other):
        run(["ip", "-n", name, "link", "set", "dev", "cable", "master", "lab0", "up"], timeout=SOON)


def _answers(interface: IPv4Interface) -> None:
    inside = ["nsenter", f"--net=/run/netns/plumbline-{ELSEWHERE}"]
    done = run(
        [*inside, "ssh-keyscan", "-T", "2", "-t", "ed25519", str(interface.ip)], timeout=SOON, check=False
    )
    if "ssh-ed25519" not in done.stdout:
        raise NotYet("no key from its sshd")


def test_a_machine_that_is_something_else_is_refused_with_all_reasons_at_once(iron: Iron) -> None:
    done = iron.invoke("preflight", inventory=iron.inventory(os="ubuntu-24.04", cpus=200))
    assert done.code == 3
    assert "old-iron: operating system: debian-12; wanted: ubuntu-24.04" in done.stderr
    assert "old-iron: CPUs: " in done.stderr
    assert "wanted: 200" in done.stderr
    told = re.findall(r"^ +old-iron: ([^:]+):", done.stderr, re.MULTILINE)
    assert sorted(told) == ["CPUs", "operating system"], "nothing else is wrong with it"


def test_a_machine_is_equipped_and_let_go(iron: Iron, tmp_path: Path) -> None:
    lab = Lab(load(str(iron.inventory())), ROOT)
    items = wanted(lab.inventory)
    provided = provide(items, source="modules", packages=all_packages(), say=print)
    run_folder = Run(tmp_path, NAME, "build")
    build = Context(
        lab, provided, Console(), run_folder, {"amd64": stock(provided, items, "amd64", say=print)}
    )

    def work() -> tuple[str, tuple[HostChange, ...]]:
        lab.provider.enter()
        _, said = hosts.converge(build, "old-iron")
        return said, compare(build.bundles["old-iron"], look(lab.ssh, build.bundles["old-iron"]))

    # a thread enters the lab's network for good; this one stays outside
    with ThreadPoolExecutor(1) as pool:
        said, left = pool.submit(work).result()
    run_folder.close()
    assert "install /usr/local/bin/kubelet" in said
    assert f"import image {build.pins.images['pause']}" in said
    assert [change.sentence for change in left] == []
    assert "v1.31.0" in iron.on_iron("kubelet --version; crictl images")
    assert "enabled" in iron.on_iron("systemctl is-enabled kubelet; systemctl is-active containerd")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(_release, lab, "old-iron").result()
    rest = iron.on_iron(
        "ls -A /etc/kubernetes /var/lib/kubelet /var/lib/containerd /usr/local/bin; ip -br link"
    )
    assert "kubelet\n" not in rest
    assert "io.containerd" not in rest
    assert "10.1.1.11 master-1" in iron.on_iron("cat /etc/hosts")


def _release(lab: Lab, name: str) -> None:
    lab.provider.enter()
    release(lab.ssh, lab.inventory, name)
    release(lab.ssh, lab.inventory, name)  # once more does no harm


@pytest.mark.long
def test_a_mixed_lab_is_built_proven_and_let_go(iron: Iron) -> None:
    done = iron.invoke("build", "-s", "modules")
    assert done.code == 0, done.stdout + done.stderr
    again = iron.invoke("plan", "-s", "modules")
    assert "nothing to change" in again.stdout, again.stdout + again.stderr

    nodes = json.loads(iron.invoke("kubectl", "-s", "modules", "--", "get nodes -o json").stdout)["items"]
    labels = {item["metadata"]["name"]: item["metadata"]["labels"] for item in nodes}
    assert set(labels) == {"master-1", "worker-1", "old-iron"}
    assert labels["old-iron"]["example.com/kind"] == "iron"

    done = iron.invoke("verify", "--layer", "node", "--layer", "cluster")
    assert done.code == 0, done.stdout + done.stderr

    refused = iron.invoke("destroy")
    assert refused.code == 2, refused.stdout + refused.stderr
    assert f"next: invoke destroy -i {iron.inventory()} --yes {NAME}" in refused.stderr
    done = iron.invoke("destroy", "--yes", NAME)
    assert done.code == 0, done.stdout + done.stderr
    assert iron.owner.state("old-iron") is State.RUNNING, "a machine that exists is never switched off"
    left = iron.on_iron(
        "ls /etc/kubernetes /var/lib/etcd /var/lib/kubelet /var/lib/containerd /opt/cni/bin;"
        "ls /usr/local/bin/kubelet /var/lib/plumbline/lab 2>&1; ip -br link"
    )
    assert "pki" not in left
    assert left.count("No such file") == 2, left
    assert "cni0" not in left
    assert "flannel" not in left
    assert "10.1.1.11 master-1" in iron.on_iron("cat /etc/hosts"), "names stay, as the page says"
