"""The LXC provider with real machines: boot, power, ownership, and what is left afterwards."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lab.artifacts.rootfs import debian_tree
from lab.artifacts.store import Store
from lab.errors import FailedError, PreflightError
from lab.local import run
from lab.machines import Power, State
from lab.providers.lxc import network as lxc_network
from lab.providers.lxc.config import port_name
from lab.providers.lxc.mark import new_lab_mark, write_mark
from lab.render.roles import all_packages
from lab.waits import wait_for
from tests.integration.lxc_lab import Lab, no_traces
from tests.soon import SOON


@pytest.fixture(scope="module")
def layers() -> tuple[Path, ...]:
    return (debian_tree(Store(), all_packages(), "amd64", say=lambda _line: None),)


@pytest.fixture(scope="module")
def make(
    layers: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Lab]]:
    """Makes scratch labs and removes them; each must leave nothing."""
    labs: list[Lab] = []
    folder = tmp_path_factory.mktemp("lxc")

    def make_one(name: str) -> Lab:
        name = f"test-{os.getpid()}-{name}"
        labs.append(Lab(name, folder / name, layers, folder / "identity"))
        return labs[-1]

    yield make_one
    for lab in labs:
        lab.provider.clean()
        assert not lab.provider.leftovers()
        wait_for(f"the end of all that {lab.name} was", partial(no_traces, lab.name), seconds=SOON)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def lab(make: Callable[[str], Lab]) -> Lab:
    """Two machines that have booted."""
    lab = make("main")
    assert lab.provider.preflight([lab.one, lab.two]) == []
    assert lab.provider.prepare()
    threads = [
        threading.Thread(target=lab.provider.create, args=(machine,)) for machine in (lab.one, lab.two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for machine in (lab.one, lab.two):
        lab.answers(machine)
    return lab


def test_machines_boot_with_their_seed(lab: Lab) -> None:
    for machine in (lab.one, lab.two):
        assert "status: done" in lab.ssh(machine, "cloud-init status --wait").stdout
        assert lab.ssh(machine, "hostname").stdout.strip() == machine.name
    ids = {lab.ssh(machine, "cat /etc/machine-id").stdout for machine in (lab.one, lab.two)}
    assert len(ids) == 2
    assert lab.provider.machines() == {"m1": State.RUNNING, "m2": State.RUNNING}
    assert "cloud-init" in lab.provider.console("m1")


def test_machines_see_each_other_and_nothing_else(lab: Lab) -> None:
    lab.ssh(lab.one, f"ping -c 1 -W 30 {lab.two.interface.ip}")
    links = {link["ifname"] for link in json.loads(lab.inside("ip", "-j", "link").stdout)}
    assert links == {"lo", "lab0", port_name(lab.one.mac), port_name(lab.two.mac)}
    routes = json.loads(lab.inside("ip", "-j", "route").stdout)
    assert [route["dst"] for route in routes] == ["10.1.1.0/24"]


def test_a_volume_is_no_overlay_and_cgroups_are_systemds(lab: Lab) -> None:
    kinds = lab.ssh(lab.one, "stat -f -c %T / /var/lib/etcd /sys/fs/cgroup").stdout.split()
    assert kinds[0] == "overlayfs"
    assert kinds[1] != "overlayfs"
    assert kinds[2] in ("tmpfs", "cgroup2fs")
    assert lab.ssh(lab.one, "systemctl is-system-running --wait", check=False).stdout.strip() == "running"


def test_again_changes_nothing(lab: Lab) -> None:
    before = (lab.home / "machines/m1").stat().st_mtime_ns
    assert not lab.provider.prepare()
    assert not lab.provider.create(lab.one)
    assert (lab.home / "machines/m1").stat().st_mtime_ns == before


def test_the_harness_keeps_its_card_when_machines_come_and_go(lab: Lab) -> None:
    """Else whoever knew it by the former address answers into the void after a machine's power went."""

    def card() -> str:
        shown = lab.inside("ip", "-j", "link", "show", "dev", lxc_network.BRIDGE)
        return str(json.loads(shown.stdout)[0]["address"])

    before = card()
    # the kernel would take the lowest address of the ports
    lowest = ("lowest", "address", "00:00:5e:00:53:01")
    lab.inside("ip", "link", "add", *lowest, "type", "veth", "peer", "name", "other")
    try:
        lab.inside("ip", "link", "set", "dev", "lowest", "master", lxc_network.BRIDGE, "up")
        during = card()
    finally:
        lab.inside("ip", "link", "delete", "dev", "lowest")
    assert (during, card()) == (before, before)


def test_entering_moves_one_thread_only(lab: Lab) -> None:
    seen: list[str] = []

    def work() -> None:
        lab.provider.enter()
        seen.append(str(Path("/proc/thread-self/ns/net").readlink()))
        with socket.create_connection((str(lab.one.interface.ip), 22), timeout=SOON) as connection:
            seen.append(connection.recv(4).decode())

    before = Path("/proc/thread-self/ns/net").readlink()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen[0] != str(before)
    assert seen[1] == "SSH-"
    assert Path("/proc/thread-self/ns/net").readlink() == before


def test_power_off_is_the_plug_pulled(lab: Lab) -> None:
    lab.answers(lab.one, "echo kept | sudo tee /kept /var/lib/etcd/kept && sync -f /kept")
    said: list[object] = []

    def peer() -> None:
        """Hold a connection while the machine dies: nobody may tell us that it was closed."""
        lab.provider.enter()
        with socket.create_connection((str(lab.one.interface.ip), 22), timeout=SOON) as connection:
            connection.recv(100)
            lab.provider.power("m1", Power.OFF)
            connection.settimeout(1)
            try:
                said.append(connection.recv(1))
            except OSError as error:
                said.append(type(error))

    thread = threading.Thread(target=peer)
    thread.start()
    thread.join()
    assert said == [TimeoutError]
    assert lab.provider.state("m1") is State.OFF
    assert lab.inside("ip", "link", "show", "dev", port_name(lab.one.mac), check=False).code != 0
    assert lab.provider.create(lab.one)
    assert lab.answers(lab.one, "sudo cat /kept /var/lib/etcd/kept").split() == ["kept", "kept"]


def test_a_paused_machine_is_silent_and_goes_on_where_it_was(lab: Lab) -> None:
    lab.answers(lab.two, "touch /tmp/before")
    changes = lab.answers(lab.two, "cat /sys/class/net/eth0/carrier_changes")
    lab.provider.power("m2", Power.PAUSE)
    lab.provider.power("m2", Power.PAUSE)
    assert lab.provider.state("m2") is State.PAUSED
    assert lab.ssh(lab.one, f"ping -c 1 -W 1 {lab.two.interface.ip}", check=False).code == 1
    lab.provider.power("m2", Power.RESUME)
    assert lab.provider.state("m2") is State.RUNNING
    assert (
        lab.answers(lab.two, "ls /tmp/before; cat /sys/class/net/eth0/carrier_changes").split()[1] == changes
    )
    lab.provider.power("m2", Power.PAUSE)
    assert lab.provider.create(lab.two)  # a build wants it running
    lab.answers(lab.two)


@pytest.mark.parametrize("how", ["reset", "reboot from inside"])
def test_a_restarted_machine_boots_again(lab: Lab, how: str) -> None:
    lab.answers(lab.two, "sudo touch /run/before")
    if how == "reset":
        lab.provider.power("m2", Power.RESET)
    else:
        lab.ssh(lab.two, "sudo systemctl reboot", check=False)
    lab.answers(lab.two, "test ! -e /run/before")
    assert lab.provider.state("m2") is State.RUNNING


def test_power_of_a_machine_that_is_not_there_says_so(lab: Lab) -> None:
    with pytest.raises(FailedError, match="m9: there is no such machine"):
        lab.provider.power("m9", Power.ON)


def test_another_lab_with_the_same_machines_does_not_touch_this_one(
    lab: Lab, make: Callable[[str], Lab]
) -> None:
    other = make("other")
    other.provider.prepare()
    other.provider.create(other.one)
    assert other.provider.machines() == {"m1": State.RUNNING}
    other.provider.clean()
    assert not other.provider.leftovers()
    assert lab.provider.machines()["m1"] is State.RUNNING
    lab.answers(lab.one)


def test_a_machine_whose_folder_was_removed_is_made_again(lab: Lab) -> None:
    shutil.rmtree(lab.home / "machines/m1")
    assert lab.provider.state("m1") is State.ABSENT
    assert lab.provider.create(lab.one)
    assert lab.answers(lab.one, "ls -A / | grep -c kept || true") == "0"


def test_a_folder_of_somebody_else_is_refused_and_left_alone(lab: Lab) -> None:
    precious = lab.home / "machines/m3/precious"
    precious.parent.mkdir()
    precious.touch()
    stranger = replace(lab.one, name="m3", mac="02:50:4c:00:00:03")
    assert lab.provider.state("m3") is State.FOREIGN
    assert [problem.subject for problem in lab.provider.preflight([stranger])] == ["machine m3"]
    attempts: list[Callable[[], object]] = [
        lambda: lab.provider.create(stranger),
        lambda: lab.provider.destroy("m3"),
        lambda: lab.provider.power("m3", Power.ON),
    ]
    for attempt in attempts:
        with pytest.raises(PreflightError, match="was not made by Plumbline"):
            attempt()
    lab.provider.clean()
    assert precious.exists()
    assert lab.provider.leftovers().items["folder"] == (str(lab.home),)
    shutil.rmtree(precious.parent)


def test_a_lab_of_another_checkout_is_refused(make: Callable[[str], Lab], tmp_path: Path) -> None:
    lab = make("theirs")
    lab.home.mkdir()
    write_mark(lab.home, replace(new_lab_mark(lab.name), checkout=str(tmp_path)))
    for attempt in (lab.provider.prepare, lab.provider.clean):
        with pytest.raises(PreflightError, match=str(tmp_path)):
            attempt()
    shutil.rmtree(lab.home)


def test_a_namespace_without_our_mark_is_refused_and_left_alone(make: Callable[[str], Lab]) -> None:
    lab = make("taken")
    name = f"plumbline-{lab.name}"
    run(["ip", "netns", "add", name], timeout=SOON)
    try:
        problems = [str(problem) for problem in lab.provider.preflight([lab.one])]
        assert len(problems) == 1
        assert f"ip netns delete {name}" in problems[0]
        with pytest.raises(PreflightError, match=name):
            lab.provider.prepare()
        with pytest.raises(PreflightError, match=name):
            lab.provider.clean()
        assert name in run(["ip", "netns", "list"], timeout=SOON).stdout
    finally:
        run(["ip", "netns", "delete", name], timeout=SOON)
