"""Machines by Vagrant: made at once where that can be, of what the Vagrantfile reads."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lab.inventory.loading import load
from lab.inventory.models import Inventory
from lab.local import Completed
from lab.machines import Traits
from lab.providers.vagrant import commands as vagrant_commands
from lab.providers.vagrant import preflight as vagrant_preflight
from lab.providers.vagrant import provider as vagrant_provider
from lab.providers.vagrant.config import LXC_BOX, access, machines, management_mac
from lab.providers.vagrant.provider import VagrantProvider
from lab.render.bundle import bundle, pins
from lab.render.cloudinit import seed
from lab.ssh import Keys
from tests.soon import SOON
from tests.unit.vagrant_machines import lab_machines


@pytest.fixture
def lab() -> Inventory:
    return load("production", provider="vagrant")


class AtOnce:
    """Stands in for the programs: tells which `vagrant up` met another one that ran at the same time.

    One that should meet another waits longer for it.
    """

    def __init__(self, expected: dict[str, bool]) -> None:
        self._expected = expected
        self.met: dict[str, bool] = {}
        self._meeting = threading.Barrier(2)

    def __call__(self, argv: list[str], **_: object) -> Completed:
        if "-output" in argv:
            Path(argv[argv.index("-output") + 1]).touch()
        if "up" in argv:
            name = argv[argv.index("up") + 1]
            try:
                self._meeting.wait(SOON if self._expected[name] else 0.2)
                self.met[name] = True
            except threading.BrokenBarrierError:
                self.met[name] = False
                self._meeting.reset()
        return Completed(0, "", "")


@pytest.mark.parametrize(
    ("backend", "together"),
    [
        ("libvirt", {"haproxy": False, "worker-1": True, "worker-2": True}),
        ("virtualbox", {"haproxy": False, "worker-1": False, "worker-2": False}),
    ],
)
def test_machines_are_made_at_once_as_far_as_the_backend_can(
    backend: str, together: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = together
    boxes = dict.fromkeys(together, "cloud-image/debian-12")
    programs, provider = at_once(backend, boxes, together, tmp_path, monkeypatch)
    assert provider.create(replace(lab_machines(1)[0], name=first))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(provider.create, (replace(lab_machines(1)[0], name=name) for name in others)))
    assert programs.met == together


def test_the_first_machine_of_each_box_goes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = {"old": False, "new": False}
    boxes = {"old": "cloud-image/debian-12", "new": "cloud-image/ubuntu-24.04"}
    programs, provider = at_once("libvirt", boxes, together, tmp_path, monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(provider.create, (replace(lab_machines(1)[0], name=name) for name in boxes)))
    assert programs.met == together


def at_once(
    backend: str,
    boxes: dict[str, str],
    together: dict[str, bool],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[AtOnce, VagrantProvider]:
    """A provider of machines with these boxes, and the programs that it runs."""
    programs = AtOnce(together)
    monkeypatch.setattr(vagrant_commands, "run", programs)
    monkeypatch.setattr(vagrant_provider, "run", programs)
    monkeypatch.setattr(vagrant_preflight, "iso_tool", lambda: ("xorriso",))
    listed = [{"name": name, "boxes": {"libvirt": box}} for name, box in boxes.items()]
    files = {"Vagrantfile": "", "machines.json": json.dumps({"machines": listed})}
    provider = VagrantProvider(folder / "vagrant", backend, files, None, {})
    provider.prepare()
    return programs, provider


def test_the_vagrantfiles_data_names_every_machine_and_its_seed(
    lab: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    document = json.loads(machines(lab, Keys(lab.lab), Path("/somewhere")))
    assert [machine["name"] for machine in document["machines"]] == list(lab.hosts)
    first = document["machines"][0]
    assert first["boxes"] == {
        "libvirt": "cloud-image/ubuntu-22.04",
        "virtualbox": "cloud-image/ubuntu-22.04",
        "lxc": LXC_BOX,
    }
    assert first["seed_iso"] == "/somewhere/seeds/haproxy.iso"
    assert ["net.0.hwaddr", lab.mac("haproxy")] in first["lxc"]
    macs = {machine[key] for machine in document["machines"] for key in ("mac", "management_mac")}
    assert len(macs) == 2 * len(lab.hosts)


def test_the_seed_keeps_vagrants_own_card_and_leaves_by_it(
    lab: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    wanted = bundle(lab, Traits(), pins(lab), "pi-1")
    files = seed(lab, access(lab, "pi-1"), wanted, Keys(lab.lab))
    network = yaml.safe_load(files["network-config"])["ethernets"]
    assert network["management"] == {
        "match": {"macaddress": management_mac(lab, "pi-1")},
        "optional": True,
        "dhcp4": True,
        "dhcp4-overrides": {"use-domains": False, "use-hostname": False, "use-ntp": False},
    }
    assert network["lan"]["addresses"] == ["10.1.1.60/24"]
    assert network["lan"]["routes"] == [{"to": "0.0.0.0/0", "via": "10.1.1.1", "metric": 4096}]
