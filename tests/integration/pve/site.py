"""A lab on the double: its inventory, its provider, its machines as a build would ask for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.machines import Machine, State
from lab.providers.proxmox import tasks as proxmox_tasks
from lab.providers.proxmox.provider import ProxmoxProvider
from lab.steps.engine import WORKERS
from lab.steps.machines import outline
from tests.doubles.pve.fixture import IMAGE_SHA256, IMAGE_URL, Double
from tests.doubles.pve.state import Storage, Vm

OPPOSITES = {
    "vm created": "vm removed",
    "vm started": "vm stopped",
    "ha resource made": "ha resource removed",
    "template made": "",
    "disk grown": "",
}
"""What happens once to each machine, volume or file before it is undone."""


def shared_snippets(double: Double) -> str:
    """Snippets on a storage that all nodes see; gives back the key `snippets` of an inventory with it."""
    double.world.storages["cephfs"] = Storage("cephfs", "cephfs", ("snippets",), shared=True)
    folder = double.snippets.with_name("cephfs")
    folder.mkdir()
    double.world.snippets["cephfs"] = folder
    return f"{{storage: cephfs, folder: {folder}}}"


def inventory(
    double: Double,
    workers: int = 2,
    *,
    masters: int = 3,
    lab: str = "site",
    more: str = "",
    host: str = "",
    network: str = "",
    hypervisor: str = "",
    snippets: str = "",
) -> Inventory:
    """One balancer, masters spread over the nodes, and workers.

    `more` are lines of the section proxmox, `host`, `network` and `hypervisor` further fields of the
    balancer, the network and each hypervisor, `snippets` where others are than in each node's own folder.
    """
    nodes = list(double.world.nodes)
    lines = [
        f"  haproxy: {{role: load-balancer, address: 10.1.0.2, os: ubuntu-22.04, hypervisor: {nodes[0]}, "
        f"cpus: 2, memory_gib: 2, disk_gib: 20{host}}}"
    ]
    for number in range(masters):
        node = nodes[number % len(nodes)]
        lines.append(
            f"  master-{number + 1}: {{role: control-plane, address: 10.1.0.{11 + number}, "
            f"os: ubuntu-22.04, hypervisor: {node}}}"
        )
    for number in range(workers):
        node = nodes[number % len(nodes)]
        lines.append(
            f"  worker-{number + 1}: {{role: worker, address: 10.1.{1 + number // 200}.{1 + number % 200}, "
            f"os: ubuntu-22.04, hypervisor: {node}, disk_gib: 30}}"
        )
    hypervisors = "\n".join(
        f"  {node}: {{cpus: 1024, memory_gib: 8192, disk_gib: 65536{hypervisor}}}" for node in nodes
    )
    snippets = snippets or f'{{storage: local, folder: "{double.snippets}/{{node}}"}}'
    text = f"""
lab: {lab}
provider: proxmox
network: {{lan: 10.1.0.0/20, gateway: 10.1.0.1{network}}}
kubernetes: {{single_master: {str(masters == 1).lower()}, pod_subnet: 10.240.0.0/13}}
metallb: {{pools: [{{name: default, addresses: [10.1.14.1-10.1.14.50]}}]}}
proxmox:
  host: {double.host}
  port: {double.port}
  token: {double.token_id}
  ca_file: {double.server.ca_file}
  snippets: {snippets}
  images: {{ubuntu-22.04: {{url: "{IMAGE_URL}", checksum: "sha256:{IMAGE_SHA256}"}}}}
{more}
hypervisors:
{hypervisors}
hosts:
"""
    return parse(text + "\n".join(lines), "site.yaml")


@dataclass
class Site:
    """A lab at work on a double."""

    double: Double
    inventory: Inventory
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.provider = self.again()

    def again(self) -> ProxmoxProvider:
        """A provider that remembers nothing, as the next command has it."""
        self.provider = ProxmoxProvider(self.inventory, self.warnings.append)
        return self.provider

    def machine(self, name: str) -> Machine:
        """As a build asks for it."""
        made = outline(self.inventory, name)
        return Machine(**{**made.__dict__, "cloud_init": {"vendor-data": f"#cloud-config\n# {name}\n"}})

    def problems(self) -> list[str]:
        """What preflight says, a line each."""
        return [str(item) for item in self.provider.preflight(map(self.machine, self.inventory.hosts))]

    def remarks(self) -> list[str]:
        """What a plan remarks of the machines, a line each."""
        return [
            str(line) for name in self.inventory.hosts for line in self.provider.remarks(self.machine(name))
        ]

    def vm(self, name: str) -> Vm:
        """The machine of that name on the double."""
        return next(vm for vm in self.double.world.vms.values() if vm.name == name)

    def build(self) -> bool:
        """All machines, by as many threads as a build has."""
        prepared = self.provider.prepare()
        machines = [self.machine(name) for name in self.inventory.hosts]
        with ThreadPoolExecutor(WORKERS) as pool:
            return any([*pool.map(self.provider.create, machines), prepared])

    def own(self) -> dict[str, list[int]]:
        """Numbers on the double by the name of the lab's machines."""
        found: dict[str, list[int]] = {}
        for vm in self.double.world.vms.values():
            if f"plumbline lab={self.inventory.lab} " in vm.config.get("description", ""):
                found.setdefault(vm.config["name"], []).append(vm.vmid)
        return found

    def assert_converged(self) -> None:
        """Each machine exists once, runs, and is what the inventory says; nothing else is left."""
        assert {name: len(ids) for name, ids in self.own().items()} == dict.fromkeys(self.inventory.hosts, 1)
        provider = self.again()
        assert provider.machines() == dict.fromkeys(sorted(self.inventory.hosts), State.RUNNING)
        for name in self.inventory.hosts:
            assert provider.changes(self.machine(name)) == ()
        self.assert_sound()

    def assert_sound(self) -> None:
        """No disk or lock without an owner, no machine twice; by the journal, nothing happened twice."""
        world = self.double.world
        assert world.orphans() == []
        assert not [ids for ids in self.own().values() if len(ids) > 1]
        for done, undone in OPPOSITES.items():
            happened = Counter(change.whose for change in world.journal.happened(done))
            happened.subtract(change.whose for change in world.journal.happened(undone))
            assert {whose: count for whose, count in happened.items() if count not in (0, 1)} == {}, done


SiteMaker = Callable[..., Site]


def opened(
    double: Double, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> SiteMaker:
    """A maker of sites; keys and secret of the lab are the test's own. Tasks are short, and so are pauses."""
    monkeypatch.setattr(proxmox_tasks, "SOONEST_SECONDS", 0.02)
    monkeypatch.setattr(proxmox_tasks, "POLLS_PER_SECOND", 500)
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setenv("PLUMBLINE_PROXMOX_SECRET", double.secret)

    def make(workers: int = 2, **options: Any) -> Site:
        return Site(double, inventory(double, workers, **options))

    return make
