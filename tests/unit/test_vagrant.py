"""Vagrant: what the Vagrantfile reads, what Vagrant's words mean, and what a laptop can have wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from lab.errors import CommandError, InputError
from lab.inventory.loading import load
from lab.inventory.models import Inventory
from lab.local import Completed
from lab.machines import Machine, Power, State, Traits
from lab.providers.lxc import preflight as lxc_preflight
from lab.providers.lxc.preflight import LocalFacts
from lab.providers.vagrant import commands as vagrant_commands
from lab.providers.vagrant import preflight as vagrant_preflight
from lab.providers.vagrant import provider as vagrant_provider
from lab.providers.vagrant.commands import VagrantCommands
from lab.providers.vagrant.config import LXC_BOX, access, machines, management_mac
from lab.providers.vagrant.preflight import LaptopFacts, closed, judge
from lab.providers.vagrant.provider import VagrantProvider
from lab.render.bundle import bundle, pins
from lab.render.cloudinit import seed
from lab.ssh import Keys
from lab.waits import wait_for
from tests.ended import ended
from tests.soon import SOON, late_once_begun

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


@pytest.fixture
def lab() -> Inventory:
    return load("production", provider="vagrant")


def lab_machines(count: int = 6) -> list[Machine]:
    return [
        Machine(f"m{number}", IPv4Interface(f"10.1.1.{10 + number}/24"), "02:00:00:00:00:01", 2, 8192, 20, {})
        for number in range(count)
    ]


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


def answers(
    monkeypatch: pytest.MonkeyPatch, stdout: str, *, code: int = 0, stderr: str = ""
) -> list[list[str]]:
    """Every command of Vagrant ends like this from now on; gives back the list of what is run."""
    asked: list[list[str]] = []

    def run(argv: list[str], *, timeout: float, check: bool) -> Completed:
        assert timeout > 0
        assert not check
        asked.append(argv[argv.index("vagrant") + 1 :])
        return Completed(code, stdout, stderr)

    monkeypatch.setattr(vagrant_commands, "run", run)
    return asked


def test_vagrants_words_become_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "a plugin says: something, with commas, of its own, and more\n"
        "1700000000,master-1,metadata,provider,lxc\n"
        "1700000000,master-1,provider-name,lxc\n"
        "1700000000,master-1,state,running\n"
        "1700000000,haproxy,provider-name,libvirt\n"
        "1700000000,haproxy,state,not_created\n"
        "1700000000,worker-1,provider-name,libvirt\n"
        "1700000000,worker-1,state,shutoff\n"
        "1700000000,worker-2,provider-name,libvirt\n"
        "1700000000,worker-2,state,paused\n"
        "1700000000,worker-3,state,aborted\n"
        "1700000000,,version-latest,2.4.1\n"
        "1700000000,,ui,info,Current machine states:%!(VAGRANT_COMMA)\n"
    )
    asked = answers(monkeypatch, said)
    (tmp_path / "Vagrantfile").touch()
    provider = VagrantProvider(tmp_path, "libvirt", {}, None, {})
    assert provider.machines() == {
        "master-1": State.RUNNING,
        "worker-1": State.OFF,
        "worker-2": State.PAUSED,
        "worker-3": State.OFF,
    }
    assert provider.state("haproxy") is State.ABSENT
    assert asked == [["status", "--machine-readable", "--no-color"]], "states are kept for a moment"


def test_after_a_change_states_are_asked_for_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, "1700000000,haproxy,state,running\n")
    (tmp_path / "Vagrantfile").touch()
    provider = VagrantProvider(tmp_path, "libvirt", {}, None, {})
    assert not provider.create(replace(lab_machines(1)[0], name="haproxy"))
    provider.power("haproxy", Power.RESET)
    provider.power("haproxy", Power.PAUSE)
    provider.power("haproxy", Power.RESUME)
    assert provider.destroy("haproxy")
    assert [" ".join(words).removesuffix(" --no-color") for words in asked] == [
        "status --machine-readable",
        "halt haproxy --force",
        "up haproxy --no-provision",
        "suspend haproxy",
        "resume haproxy",
        "status --machine-readable",
        "destroy haproxy --force",
    ]


def test_plugins_are_those_that_vagrant_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "1796017106,,ui,info,vagrant-libvirt (0.11.2%!(VAGRANT_COMMA) system)\n"
        "1796017106,,plugin-name,vagrant-libvirt\n"
        "1796017106,vagrant-libvirt,plugin-version,0.11.2%!(VAGRANT_COMMA) system\n"
        "1796017106,,plugin-name,vagrant-lxc\n"
        "1796017106,vagrant-lxc,plugin-version,1.4.3\n"
    )
    answers(monkeypatch, said)
    listed = VagrantCommands().plugin_list()
    assert [(item.name, item.version, item.system) for item in listed] == [
        ("vagrant-libvirt", "0.11.2", True),
        ("vagrant-lxc", "1.4.3", False),
    ]


def test_every_command_has_a_deadline_that_ends_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real runner, with a program that stands in for Vagrant and never ends."""
    program = tmp_path / "vagrant"
    child = tmp_path / "child"
    program.write_text(
        f"#!/bin/sh\necho working\nsleep 600 & echo $! > {child}.new\nmv {child}.new {child}\nwait\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def ask(seconds: float) -> None:
        monkeypatch.setattr(vagrant_commands, "SECONDS", seconds)
        VagrantCommands(tmp_path, "libvirt").status()

    late = late_once_begun(child, ask)
    assert "vagrant status --machine-readable" in late.subject
    assert late.last == "working"
    pid = int(child.read_text())
    wait_for("the program's child to end", lambda: ended(pid), seconds=SOON, interval=0.02)


def test_where_there_is_no_vagrant_importing_the_provider_says_nothing() -> None:
    command = [sys.executable, "-c", "import lab.providers.vagrant.face"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/nonexistent"})
    assert done.stdout + done.stderr == ""


def test_a_lab_that_was_never_made_is_absent_without_asking_vagrant(tmp_path: Path) -> None:
    provider = VagrantProvider(tmp_path / "vagrant", "libvirt", {}, None, {})
    assert provider.machines() == {}
    assert provider.state("master-1") is State.ABSENT
    assert not provider.clean()
    assert not provider.leftovers()
    with pytest.raises(InputError, match="--backend: vmware: must be one of libvirt, virtualbox, lxc"):
        VagrantProvider(tmp_path, "vmware", {}, None, {})


def test_an_error_of_a_plugin_shows_its_cause_and_not_rubys_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = "vm_action.rb:7:in `create': No such file: '/run/libvirt/virtlogd-sock' (Libvirt::Error)"
    stack = "".join(
        f"\tfrom /usr/share/gems/vagrant/action/warden.rb:{number}:in `call'\n" for number in range(99)
    )
    ended = Completed(1, "==> haproxy: Starting domain.\n", f"{cause}\n{stack}")
    monkeypatch.setattr(vagrant_commands, "run", lambda *_, **__: ended)
    (tmp_path / "Vagrantfile").touch()
    with pytest.raises(CommandError) as raised:
        VagrantProvider(tmp_path, "libvirt", {}, None, {}).machines()
    shown = raised.value.message.splitlines()
    assert [line.strip() for line in shown[1:]] == ["==> haproxy: Starting domain.", cause]


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
