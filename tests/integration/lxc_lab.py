"""Machines of the LXC provider for tests of it, and what they left."""

from __future__ import annotations

from ipaddress import IPv4Interface
from pathlib import Path

from lab.local import Completed, run
from lab.machines import Machine, Volume
from lab.providers.lxc.provider import LxcProvider
from lab.ssh import key_pair
from lab.waits import NotYet, wait_for
from tests.soon import SOON

BRIDGE = IPv4Interface("10.1.1.1/24")
USER_DATA = """#cloud-config
locale: C.UTF-8
manage_etc_hosts: localhost
ssh_genkeytypes: [ed25519]
users:
  - name: lab
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    lock_passwd: true
    ssh_authorized_keys: ["{key}"]
"""
NETWORK = """version: 2
ethernets:
  lan:
    match: {{macaddress: "{mac}"}}
    set-name: eth0
    addresses: ["{interface}"]
"""


class Lab:
    """One scratch lab: its provider, two machines, and a way to run commands on them."""

    def __init__(self, name: str, home: Path, layers: tuple[Path, ...], identity: Path) -> None:
        self.name, self.home, self.identity = name, home, identity
        self.provider = LxcProvider(name, home, BRIDGE, layers)
        key = key_pair(identity, "test").public
        self.one, self.two = (self._machine(number, key) for number in (1, 2))

    def _machine(self, number: int, key: str) -> Machine:
        interface, mac = IPv4Interface(f"10.1.1.{10 + number}/24"), f"02:50:4c:00:00:{number:02x}"
        files = {
            "user-data": USER_DATA.format(key=key),
            "meta-data": f"instance-id: m{number}\nlocal-hostname: m{number}\n",
            "network-config": NETWORK.format(mac=mac, interface=interface),
        }
        return Machine(f"m{number}", interface, mac, 1, 512, 5, files, (Volume("/var/lib/etcd"),))

    def inside(self, *argv: str, check: bool = True) -> Completed:
        """Run a program in the lab's network."""
        return run(["nsenter", f"--net=/run/netns/plumbline-{self.name}", *argv], timeout=SOON, check=check)

    def ssh(self, machine: Machine, command: str, *, check: bool = True) -> Completed:
        options = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "ConnectTimeout=20",
            "LogLevel=ERROR",
        )
        flags = [flag for option in options for flag in ("-o", option)]
        target = f"lab@{machine.interface.ip}"
        return self.inside("ssh", "-i", str(self.identity), *flags, target, command, check=check)

    def answers(self, machine: Machine, command: str = "true") -> str:
        """Wait until the command succeeds on the machine; gives back its output."""

        def probe() -> str:
            done = self.ssh(machine, command, check=False)
            if done.code:
                raise NotYet(done.stderr or done.stdout)
            return done.stdout.strip()

        return wait_for(f"{machine.name}: {command}", probe, seconds=SOON, interval=0.1)


def traces() -> set[str]:
    """Mounts, namespaces, links, cgroups and processes of this machine that an LXC lab could leave."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    processes = run(["ps", "-eo", "pid,args"], timeout=SOON).stdout.splitlines()
    links = run(["ip", "-o", "link"], timeout=SOON).stdout.splitlines()
    names = run(["ip", "netns", "list"], timeout=SOON).stdout.splitlines()
    root = Path("/sys/fs/cgroup")  # version 2 has one tree here, version 1 one in each folder
    cgroups = [str(folder) for where in (root, *root.iterdir()) for folder in where.glob("plumbline@*")]
    lxc = [line for line in processes if "lxc" in line]
    return {*mounts, *names, *cgroups, *lxc, *(link.split(":")[1] for link in links)}


def no_traces(lab: str) -> None:
    """Nothing of it belongs to the lab; another one may be built on this machine meanwhile.

    A killed process runs on for a moment. Raises `NotYet` as long as there is anything.
    """
    if left := sorted(trace for trace in traces() if lab in trace):
        raise NotYet("; ".join(left))
