"""One machine by Vagrant's libvirt backend, in software: no KVM, and nothing of this machine's libvirt.

libvirt runs in a network namespace and with folders of its own. The box is our root filesystem with a kernel,
under the name of the box that the Vagrantfile asks for; the box itself says that the processor is emulated.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lab.artifacts.rootfs import debian_tree
from lab.artifacts.store import Store
from lab.inventory.loading import load
from lab.labs import Lab
from lab.local import Completed, run
from lab.machines import Power, State
from lab.providers.vagrant import provider as vagrant
from lab.render.bundle import bundle, pins
from lab.render.cloudinit import seed
from lab.render.roles import all_packages
from lab.steps.machines import outline
from lab.waits import NotYet, wait_for
from tests.integration.test_vagrant import INVENTORY
from tests.integration.test_vagrant import NAME as BY_LXC

NAME, HOST = "by-libvirt", "haproxy"
NAMESPACE = f"plumbline-test-{NAME}"
PACKAGES = {
    "vagrant": "vagrant-libvirt",
    "libvirtd": "libvirt-daemon libvirt-daemon-driver-qemu",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "iptables": "iptables",
    "xorriso": "xorriso",
}
PLUGINS = ["vagrant", "plugin", "list"]
USER = {
    "passwd": "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n",
    "group": "libvirt-qemu:x:64055:\nkvm:x:64056:\n",
}
"""To whom libvirt gives its machines; the package libvirt-daemon-system would make them."""
FULL = ("linux-image-cloud-amd64", "initramfs-tools", "netplan.io")
"""What a cloud image has and the root filesystem of our containers has not."""
BOX = "cloud-image/debian-12"
SECONDS = 900.0
"""From the seed's first line to its last took 3 minutes on a processor that others used too."""
SETTINGS = """
Vagrant.configure("2") do |config|
  config.vm.provider "libvirt" do |libvirt|
    libvirt.driver = "qemu"
    libvirt.kernel = File.join(__dir__, "vmlinuz")
    libvirt.initrd = File.join(__dir__, "initrd.img")
    libvirt.cmd_line = "root=/dev/vda rw console=ttyS0"
  end
end
"""
DAEMON = """
mount -t proc proc /proc
umount --recursive --lazy /sys  # without control groups: libvirt would make its own in this machine's
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
test ! -e /dev/kvm || mount --bind /dev/null /dev/kvm
mount --bind {home}/etc /etc/libvirt
mount --bind {home}/state /var/lib/libvirt
mount --bind {home}/cache /var/cache/libvirt
mount --bind {home}/log /var/log/libvirt
mount --bind {home}/passwd /etc/passwd
mount --bind {home}/group /etc/group
# the shell reaps what libvirt has ended; for what nobody reaps libvirt waits half a minute
libvirtd --config {home}/libvirtd.conf --pid-file {home}/pid & wait $!
"""
pytestmark = pytest.mark.long


INSIDE = ["nsenter", f"--net=/run/netns/{NAMESPACE}"]


def inside(*argv: str, seconds: float = 60, check: bool = True) -> Completed:
    """A program that reaches the networks of the test's libvirt."""
    return run([*INSIDE, *argv], timeout=seconds, check=check)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that libvirt's machines can pass; pytest's own is closed to them."""
    missing = [package for program, package in PACKAGES.items() if not _which(program)]
    if "vagrant-libvirt" not in missing and "vagrant-libvirt" not in run(PLUGINS, timeout=60).stdout:
        missing.append("vagrant-libvirt")
    assert not missing, f"this test needs: apt-get install {' '.join(missing)}"
    with TemporaryDirectory(prefix="plumbline-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@pytest.fixture
def libvirt(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """libvirt answers; afterwards neither it nor its namespace is left."""
    for name in ("etc", "state", "cache", "log", "sockets"):
        (home / name).mkdir()
    (home / "etc" / "qemu.conf").write_text('stdio_handler = "file"\n')  # there is no virtlogd in there
    (home / "libvirtd.conf").write_text(
        f'unix_sock_dir = "{home}/sockets"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n'
    )
    for name, line in USER.items():
        known = Path("/etc", name).read_text()
        (home / name).write_text(known if "libvirt-qemu:" in known else known + line)
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", f"qemu+unix:///system?socket={home}/sockets/libvirt-sock")
    run(["ip", "netns", "add", NAMESPACE], timeout=10)
    inside("ip", "link", "set", "dev", "lo", "up")
    # with processes of its own: machines and dnsmasq end with it
    apart = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    script = DAEMON.format(home=home)
    with (home / "libvirtd.log").open("w") as log:
        daemon = subprocess.Popen([*INSIDE, *apart, "sh", "-ec", script], stdout=log, stderr=log)
    try:
        wait_for("libvirt of the test", partial(_answers, daemon, home), seconds=60)
        yield
    finally:
        daemon.kill()
        daemon.wait(timeout=30)
        wait_for("end of the test's libvirt", _ended_all, seconds=30)
        run(["ip", "netns", "delete", NAMESPACE], timeout=10)


def _ended_all() -> None:
    if left := run(["ip", "netns", "pids", NAMESPACE], timeout=10).stdout.split():
        raise NotYet(f"processes {left}")


def _answers(daemon: subprocess.Popen[bytes], home: Path) -> None:
    said = run(["virsh", "list"], timeout=30, check=False)
    if said.code:
        last = (home / "libvirtd.log").read_text()[-300:]
        assert daemon.poll() is None, f"libvirtd ended: {last}"
        raise NotYet(said.stderr.strip() + last)


@pytest.fixture
def box(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vagrant, with a home of its own, has our root filesystem and a kernel as the box of the Vagrantfile."""
    monkeypatch.setenv("VAGRANT_HOME", str(home / "vagrant"))
    tree = debian_tree(Store(), {*all_packages(), *FULL}, "amd64", say=print)
    with TemporaryDirectory(dir=home) as folder:
        work = Path(folder)
        raw = work / "raw"
        with raw.open("wb") as file:
            file.truncate(2 * 2**30)
        run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(raw)], timeout=300)
        run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(work / "box.img")], timeout=300)
        (work / "metadata.json").write_text(
            json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": 2})
        )
        (work / "Vagrantfile").write_text(SETTINGS)
        with tarfile.open(work / "plumbline.box", "w") as tar:
            for name in ("metadata.json", "Vagrantfile", "box.img"):
                tar.add(work / name, name)
            for name in ("vmlinuz", "initrd.img"):
                tar.add((tree / name).resolve(), name)
        run(["vagrant", "box", "add", "--name", BOX, str(work / "plumbline.box")], timeout=300)


@pytest.mark.usefixtures("libvirt", "box")
def test_a_machine_boots_from_our_seed_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", str(home / "data"))
    monkeypatch.setenv("VAGRANT_DEFAULT_PROVIDER", "libvirt")
    monkeypatch.setattr(vagrant, "run", lambda argv, **how: run([*INSIDE, *argv], **how))
    (home / "lab.yaml").write_text(INVENTORY.replace(BY_LXC, NAME))
    inventory = load(str(home / "lab.yaml"))
    lab = Lab(inventory, home)
    lab.keys.own()
    traits = lab.provider.traits_of(HOST)
    files = seed(inventory, traits, bundle(inventory, traits, pins(inventory), HOST), lab.keys)

    lab.provider.prepare()
    assert lab.provider.create(replace(outline(inventory, HOST), cloud_init=files))
    assert lab.provider.machines() == {HOST: State.RUNNING}

    ssh = ["ssh", "-F", str(lab.ssh.config), "-o", "BatchMode=yes", HOST]
    result = partial(inside, *ssh, "cat /run/cloud-init/result.json", check=False)
    wait_for("cloud-init", lambda: _ended(result()), seconds=SECONDS, interval=5)
    ended = json.loads(result().stdout)["v1"]
    assert ended["errors"] == []
    assert "/dev/sr0" in ended["datasource"], "the seed is the CD"
    # as a person would, by Vagrant's own card and with the firewall up
    monkeypatch.setenv("VAGRANT_CWD", str(lab.folder / "vagrant"))
    said = inside("vagrant", "ssh", HOST, "-c", "hostname; systemctl is-active nftables", seconds=120)
    assert said.stdout.split() == [HOST, "active"]
    cards = inside(*ssh, "ip -br -4 address show eth0; ip route get 192.0.2.1; df --output=size /").stdout
    lan, way, size = cards.splitlines()[0], cards.splitlines()[1], int(cards.splitlines()[-1])
    assert str(inventory.interface(HOST)) in lan
    assert "via 192.168.121.1 " in way, "the world is behind Vagrant's card"
    assert size > 4 * 2**20, "the filesystem has grown to the inventory's disk"

    for action, state in (
        (Power.PAUSE, State.PAUSED),
        (Power.RESUME, State.RUNNING),
        (Power.OFF, State.OFF),
        (Power.ON, State.RUNNING),
    ):
        lab.provider.power(HOST, action)
        assert lab.provider.state(HOST) is state

    assert lab.provider.clean()
    assert not lab.provider.leftovers()
    for listed in (["list", "--all"], ["net-list", "--all"]):
        assert inside("virsh", *listed, "--name").stdout.strip() == ""
    assert "plumbline" not in inside("virsh", "vol-list", "default").stdout


def _ended(said: Completed) -> None:
    if said.code:
        raise NotYet(said.stderr.strip().rpartition("\n")[2] or "no result yet")
