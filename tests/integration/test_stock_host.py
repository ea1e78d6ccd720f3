"""A stock Debian in software emulation: systemd, cgroup version 2, modules that nobody has loaded yet.

What a stranger does, in the stranger's order: packages, preflight, limits, preflight, a lab, power, removal.
Times prove nothing here: patience is 20. docs/hosts.md tells what no test boots.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab.artifacts.store import cache_folder
from tests.integration.stock import image
from tests.integration.stock.guest import Guest

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86"),
]

SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian 12 and 13, with the Python of each."""
INVENTORY = """\
lab: small
provider: lxc
disposable: true
patience: 20
network: {lan: 10.1.1.0/24, gateway: 10.1.1.1}
kubernetes: {single_master: true}
metallb:
  pools:
    - {name: default, addresses: [10.1.1.100-10.1.1.150]}
hosts:
  haproxy: {role: load-balancer, address: 10.1.1.50}
  master-1: {role: control-plane, address: 10.1.1.11}
  worker-1: {role: worker, address: 10.1.1.31}
"""
# as docs/hosts.md says for a user with sudo
SUDO = "sudo --preserve-env=PLUMBLINE_CACHE,PLUMBLINE_SOURCE"
HERE = f"cd /{image.CHECKOUT}; export PLUMBLINE_CACHE=/{image.STORE} PLUMBLINE_SOURCE=modules; "
INVOKE = f"{HERE}{SUDO} .venv/bin/invoke "
FILE = f"-i /home/{image.USER}/small.yaml"
CGROUPS = "find /sys/fs/cgroup -maxdepth 1 -name 'plumbline@*'"
# the machine's own account beside the provider's: by the kernel's files
POWER = """
import sys, pathlib
sys.path.insert(0, ".")
from lab.inventory import load
from lab.labs import Lab
from lab.machines import Power, State
lab = Lab.open(load("/home/person/small.yaml"), pathlib.Path.cwd())
folder = pathlib.Path("/sys/fs/cgroup/plumbline@small@worker-1/machine")
def step(action, state, populated, frozen):
    lab.provider.power("worker-1", action)
    seen = lab.provider.state("worker-1")
    events = (folder / "cgroup.events").read_text().split() if folder.exists() else []
    kernel = dict(zip(events[::2], events[1::2])) or {"populated": "0", "frozen": "0"}
    assert seen is state, (action, seen)
    assert (kernel["populated"], kernel["frozen"]) == (populated, frozen), (action, kernel)
step(Power.PAUSE, State.PAUSED, "1", "1")
step(Power.RESUME, State.RUNNING, "1", "0")
step(Power.OFF, State.OFF, "0", "0")
assert not folder.parent.exists(), "its cgroup is removed"
step(Power.ON, State.RUNNING, "1", "0")
"""
SHORT, LONG = 1800.0, 6 * 3600.0
"""Seconds: on a free machine of two cores a lab took under half an hour; a busy one has the rest."""


@pytest.fixture(scope="module", params=SUITES)
def guest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """The stock machine, booted; its artefacts lie on its disk, copied with whole seconds."""
    suite, folder = str(request.param), tmp_path_factory.mktemp("stock")
    tree, wheels, disk = folder / "tree", folder / "wheels", folder / "root.img"
    image.install(tree, suite)
    wheels.mkdir()
    image.wheels(wheels, SUITES[suite])
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id_ed25519")], check=True
    )
    image.furnish(tree, (folder / "id_ed25519.pub").read_text(), wheels)
    (folder / "small.yaml").write_text(INVENTORY)
    asked = ("-m", "invoke", "artifacts", "-i", str(folder / "small.yaml"), "--fetch")
    subprocess.run([sys.executable, *asked], cwd=image.ROOT, check=True)
    image.store(cache_folder(), tree / image.STORE)
    image.disk(tree, disk, 40)
    made = Guest(folder, image.kernel(tree), disk)
    made.start()
    try:
        made.booted()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def done(guest: Guest, command: str, *, seconds: float = SHORT, code: int = 0) -> str:
    """What a command of the guest printed, which ended with `code`."""
    said = guest.run(command, seconds=seconds)
    assert said.code == code, f"{command}: exit code {said.code}\n{said.output[-4000:]}"
    return said.output


def test_it_is_a_stock_machine(guest: Guest) -> None:
    assert done(guest, "stat -f -c %T /sys/fs/cgroup; cat /proc/1/comm").split() == ["cgroup2fs", "systemd"]
    assert "overlay" not in done(guest, "cut -d ' ' -f 1 /proc/modules").split()
    done(guest, "test ! -e /proc/sys/net/bridge")
    done(guest, f"cat > small.yaml <<'EOF'\n{INVENTORY}EOF")


def test_the_packages_leave_its_network_alone(guest: Guest) -> None:
    """lxc brings a bridge with NAT and a DNS server, unless it is told not to."""
    network = "/sbin/sysctl net.ipv4.ip_forward; sudo nft list ruleset; ls /sys/class/net"
    before = done(guest, network)
    done(guest, f"cd /{image.CHECKOUT} && make packages", seconds=LONG)
    done(guest, "command -v lxc-start && sudo systemctl is-enabled lxc-net")
    assert done(guest, network) == before
    done(guest, "! pgrep dnsmasq")


def test_preflight_sees_what_is_missing_by_its_effect(guest: Guest) -> None:
    said = done(guest, f"{INVOKE}preflight {FILE}", code=3)
    assert "kernel module br_netfilter: " in said
    assert "make limits, or modprobe br_netfilter" in said
    assert "operating system" not in said


def test_limits_load_the_modules_for_good(guest: Guest) -> None:
    done(guest, f"cd /{image.CHECKOUT} && make limits && make limits")
    kept = done(guest, "cat /etc/modules-load.d/plumbline.conf").split()
    assert {"br_netfilter", "nf_conntrack", "overlay", "vxlan"} <= set(kept)
    loaded = done(guest, "cut -d ' ' -f 1 /proc/modules").split()
    assert set(kept) <= set(loaded)
    done(guest, "sudo systemctl restart systemd-modules-load && sudo systemctl is-system-running")
    assert done(guest, "cat /proc/sys/net/bridge/bridge-nf-call-iptables").strip() == "0", "its own bridges"
    assert done(guest, "sudo unshare --net cat /proc/sys/net/bridge/bridge-nf-call-iptables").strip() == "1"


def test_preflight_is_content(guest: Guest) -> None:
    said = json.loads(done(guest, f"{INVOKE}preflight {FILE} --json"))
    assert (said["ready"], said["machines"], said["findings"]) == (True, 3, [])


def test_the_copied_store_is_taken_as_it_is(guest: Guest) -> None:
    said = json.loads(done(guest, f"{INVOKE}artifacts {FILE} --json"))
    assert {item["state"] for item in said} == {"present"}


def test_a_lab_becomes_ready(guest: Guest) -> None:
    done(guest, f"{INVOKE}build {FILE}", seconds=LONG)
    nodes = json.loads(done(guest, f"{INVOKE}kubectl {FILE} -- get nodes -o json"))["items"]
    ready = {
        node["metadata"]["name"]: condition["status"]
        for node in nodes
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    }
    assert ready == {"master-1": "True", "worker-1": "True"}
    pods = done(
        guest,
        f"{INVOKE}kubectl {FILE} -- get pods -A -o name --field-selector status.phase!=Running",
    )
    assert pods.strip() == ""


def test_power_goes_by_cgroups_of_version_2(guest: Guest) -> None:
    assert done(guest, CGROUPS).count("plumbline@small@") == 3
    done(guest, f"{HERE}{SUDO} .venv/bin/python - <<'EOF'\n{POWER}EOF")


def test_nothing_is_left(guest: Guest) -> None:
    done(guest, f"{INVOKE}destroy {FILE}")
    assert done(guest, CGROUPS) == ""
    left = "sudo ls -d /var/lib/plumbline /run/netns/plumbline-* 2> /dev/null; grep plumbline /proc/mounts"
    assert [line for line in done(guest, f"{left}; true").splitlines() if image.STORE not in line] == []
