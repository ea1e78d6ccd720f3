"""What a laptop can have wrong for Vagrant."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lab.providers.lxc import preflight as lxc_preflight
from lab.providers.lxc.preflight import LocalFacts
from lab.providers.vagrant import preflight as vagrant_preflight
from lab.providers.vagrant.preflight import LaptopFacts, closed, judge
from lab.providers.vagrant.provider import VagrantProvider
from tests.unit.vagrant_machines import lab_machines

GOOD = LaptopFacts(
    vagrant="2.3.4",
    plugins=("vagrant-libvirt", "vagrant-lxc"),
    program=True,
    ranges="* 10.1.1.0/24 192.168.56.0/21\n",
    misspelt=False,
    routes={"192.168.1.0/24": "wlan0"},
    memory_mib=60_000,
    virtualisation=True,
    driver=True,
    virtualbox="7.0.20r163906",
    closed="",
    iso=True,
    box=True,
)


def told(backend: str, **changes: object) -> str:
    found = judge(replace(GOOD, **changes), backend, lab_machines())  # type: ignore[arg-type]
    return "\n".join(map(str, found))


@pytest.mark.parametrize("backend", ["libvirt", "virtualbox", "lxc"])
def test_a_good_laptop_is_taken(backend: str) -> None:
    assert told(backend) == ""


def test_c25_addresses_outside_virtualboxes_ranges_are_told_with_the_line_that_allows_them() -> None:
    text = told("virtualbox", ranges=None)
    assert "10.1.1.10, 10.1.1.11" in text
    assert "outside 192.168.56.0/21" in text
    assert "echo '* 10.1.1.0/24' >> /etc/vbox/networks.conf" in text
    assert "network.conf is not read: the name has an s" in told("virtualbox", ranges=None, misspelt=True)
    assert "without the leading `* `" in told("virtualbox", ranges="10.1.1.0/24\n")
    assert told("virtualbox", ranges="* 10.1.1.0/24\n", misspelt=True) == ""
    assert told("libvirt", ranges=None) == ""


@pytest.mark.parametrize(
    ("backend", "changes", "expected"),
    [
        ("libvirt", {"vagrant": ""}, "vagrant: not found"),
        ("libvirt", {"vagrant": "2.2.19"}, "vagrant: 2.2.19; wanted: 2.3 or later"),
        ("virtualbox", {"program": False}, "virtualbox: no VBoxManage; wanted: installed"),
        ("libvirt", {"program": False}, "apt-get install libvirt-daemon-system"),
        ("libvirt", {"plugins": ()}, "vagrant plugin install vagrant-libvirt"),
        ("lxc", {"vagrant": "2.4.9"}, "vagrant: 2.4.9; wanted: 2.3, the last that vagrant-lxc works with"),
        ("lxc", {"box": False}, "fix: invoke vagrant.box"),
        ("libvirt", {"routes": {"10.1.0.0/16": "docker0"}}, "network: 10.1.0.0/16 is on docker0"),
        ("virtualbox", {"memory_mib": 16_000}, "free memory: 16000 MiB; wanted: 50176 MiB for 6 machines"),
        ("virtualbox", {"virtualisation": False}, "nested virtualisation"),
        ("libvirt", {"virtualisation": False, "driver": False}, "processor: neither vmx nor svm"),
        ("libvirt", {"driver": False}, "/dev/kvm: missing; wanted: libvirt's driver; fix: modprobe kvm"),
        ("virtualbox", {"driver": False}, "/dev/vboxdrv: missing; wanted: virtualbox's driver"),
        ("virtualbox", {"virtualbox": "7.1.4r165100"}, "vagrant: 2.3.4; wanted: 2.4.2 or later beside"),
        ("virtualbox", {"routes": {"10.1.0.0/16": "eth0"}}, "network: 10.1.0.0/16 is on eth0"),
        ("libvirt", {"closed": "/home/ada"}, "/home/ada: closed to others; wanted: a way to the seeds"),
        ("libvirt", {"iso": False}, "apt-get install xorriso"),
    ],
)
def test_each_thing_that_is_wrong_is_told(backend: str, changes: dict[str, object], expected: str) -> None:
    assert expected in told(backend, **changes)


def test_what_belongs_to_a_backend_itself_stops_nobody() -> None:
    assert told("libvirt", routes={"10.1.1.0/24": "virbr3"}) == ""
    assert told("virtualbox", routes={"10.1.1.0/24": "vboxnet0"}) == ""
    assert told("libvirt", virtualisation=False) == "", "its /dev/kvm opens"
    assert told("virtualbox", virtualbox="9.0.0") == "", "Vagrant itself refuses what it does not know"
    assert told("virtualbox", vagrant="2.4.10", virtualbox="7.2.0r170228") == ""
    assert told("virtualbox", closed="/home/ada") == "", "VirtualBox runs machines as whoever asks for them"


def test_a_lab_on_the_network_of_vagrants_own_cards_is_refused() -> None:
    machine = lab_machines(1)[0]
    for backend, address in (("libvirt", "192.168.121.10/24"), ("virtualbox", "10.0.2.10/24")):
        there = replace(machine, interface=IPv4Interface(address))
        facts = replace(GOOD, ranges="* 0.0.0.0/0\n")
        [problem] = judge(facts, backend, [there])
        assert "is where Vagrant reaches machines" in problem.seen


def test_a_folder_that_others_cannot_pass_is_found_on_the_way_to_the_seeds() -> None:
    with TemporaryDirectory(dir="/tmp") as folder:  # pytest's own is closed on purpose
        home = Path(folder)
        seeds = home / "lab" / "vagrant"
        home.chmod(0o755)
        assert closed(seeds) == ""
        home.chmod(0o750)
        assert closed(seeds) == folder
        home.chmod(0o751)
        assert closed(seeds) == ""


def test_containers_by_vagrant_need_what_our_own_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = LocalFacts(
        root=True,
        missing_commands=(),
        missing_features=(),
        cgroup="v2",
        kmsg=True,
        memory_mib=1000,
        disk_mib=50_000,
        disk_folder="/",
        inotify_instances=128,
        inotify_watches=200_000,
    )
    monkeypatch.setattr(lxc_preflight, "gather", {Path("/var/lib/lxc"): few}.__getitem__)
    monkeypatch.setattr(vagrant_preflight, "gather", lambda *_: GOOD)
    found = VagrantProvider(tmp_path / "vagrant", "lxc", {}, None, {}).preflight(lab_machines())
    assert [problem.subject for problem in found] == ["free memory", "fs.inotify.max_user_instances"]
    assert found[1].fix == "sysctl -w fs.inotify.max_user_instances=512"
    assert VagrantProvider(tmp_path / "vagrant", "libvirt", {}, None, {}).preflight(lab_machines()) == []
