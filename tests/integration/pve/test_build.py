"""From nothing to a verified cluster on Proxmox VE's API, and back to nothing; the machines are real.

The double clones, configures and starts; what boots gets only what Proxmox VE would hand over. Each test
goes on from the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
import yaml

from tests.doubles.pve.backed import Backed, Done, backed
from tests.doubles.pve.fixture import IMAGE_SHA256, IMAGE_URL
from tests.doubles.pve.state import Vm
from tests.integration.conftest import ROOT

LAB = "production-cut"
HOSTS = ("haproxy", "master-1", "master-2", "master-3", "worker-1", "worker-2")
NODES = ("pve-1", "pve-2", "pve-3")

pytestmark = pytest.mark.long


def cut(double: Backed) -> str:
    """`inventory/production.yaml` with six of its machines, on three nodes, from the image at hand."""
    text = (ROOT / "inventory" / "production.yaml").read_text()
    found = yaml.safe_load(text)
    pve = double.double
    found["lab"], found["disposable"] = LAB, True
    found["network"] = {key: found["network"][key] for key in ("lan", "gateway")}
    found["hypervisors"] = {node: dict(found["hypervisors"]["pve-1"]) for node in NODES}
    found["proxmox"] = {
        "host": pve.host,
        "port": pve.port,
        "token": pve.token_id,
        "ca_file": str(pve.server.ca_file),
        "snippets": {"storage": "local", "folder": f"{pve.snippets}/{{node}}"},
        "images": {"debian-12": {"url": IMAGE_URL, "checksum": f"sha256:{IMAGE_SHA256}"}},
    }
    found["hosts"] = {name: found["hosts"][name] | {"os": "debian-12"} for name in HOSTS}
    for number, name in enumerate(HOSTS[1:]):
        found["hosts"][name]["hypervisor"] = NODES[number % 3]
    return str(yaml.safe_dump(found, sort_keys=False))


@dataclass(frozen=True)
class Site:
    """The double, the inventory of the cut, and commands on it."""

    machines: Backed
    inventory: Path

    def invoke(self, task: str, *arguments: str) -> Done:
        return self.machines.invoke(self.inventory, task, *arguments)

    def vm(self, name: str) -> Vm:
        """The VM of that name."""
        return next(vm for vm in self.machines.double.world.vms.values() if vm.name == name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pve")
    with backed(folder, IPv4Interface("10.1.1.1/24"), NODES) as machines:
        inventory = folder / f"{LAB}.yaml"
        inventory.write_text(cut(machines))
        yield Site(machines, inventory)


def test_a_build_ends_with_a_cluster(site: Site) -> None:
    done = site.invoke("build")
    assert done.code == 0, done.output
    world = site.machines.double.world
    built = {vm.name: vm.node for vm in world.vms.values() if not vm.template}
    assert set(built) == set(HOSTS)
    assert len({built[name] for name in HOSTS if name.startswith("master")}) == 3
    assert world.orphans() == []


def test_every_machine_booted_from_what_proxmox_hands_over(site: Site) -> None:
    for name in HOSTS:
        seed = site.vm(name).seed
        user, vendor = (yaml.safe_load(seed[key]) for key in ("user-data", "vendor-data"))
        assert user["hostname"] == name
        assert user["manage_etc_hosts"] is True
        assert "write_files" not in user, "a custom user file would replace what Proxmox VE writes"
        assert vendor["write_files"]
        assert yaml.safe_load(seed["network-config"])["version"] == 1


def test_a_second_build_changes_nothing(site: Site) -> None:
    writes = len(site.machines.double.world.journal.writes())
    done = site.invoke("build")
    assert done.code == 0, done.output
    assert "nothing to change" in done.output
    assert len(site.machines.double.world.journal.writes()) == writes


def test_the_lab_is_what_the_inventory_says(site: Site) -> None:
    for layer in ("node", "cluster"):
        done = site.invoke("verify", "--layer", layer)
        assert done.code == 0, done.output


def test_destroy_leaves_only_templates(site: Site) -> None:
    done = site.invoke("destroy")
    assert done.code == 0, done.output
    double = site.machines.double
    assert [vm.name for vm in double.world.vms.values() if not vm.template] == []
    assert double.world.orphans() == []
    assert [file for file in double.snippets.rglob("*") if file.is_file()] == []
    again = site.invoke("destroy")
    assert (again.code, "nothing to remove" in again.output) == (0, True), again.output


def test_templates_go_when_they_are_asked_to(site: Site) -> None:
    done = site.invoke("proxmox.templates", "--remove")
    assert done.code == 0, done.output
    world = site.machines.double.world
    assert world.vms == {}
    assert {volume.content for volume in world.volumes()} <= {"import"}, "images stay for the next template"
