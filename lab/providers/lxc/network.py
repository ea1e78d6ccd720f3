"""The lab's own network namespace, its switch, and the way to run LXC's commands inside it.

Everything of a lab lives in there, the harness's own clients too. Nothing leads out of it: no veth to the
machine, no route, no forwarding, so two labs may use the same addresses at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from lab.errors import FailedError
from lab.inventory.models import Inventory
from lab.local import Completed, enter_network, run

BRIDGE = "lab0"
PINS = Path("/run/netns")
_MARK = "plumbline "  # an alias of the bridge starts with it; the lab's folder follows
_SECONDS = 20.0

# `ip netns exec` mounts a sysfs that hides /sys/fs/cgroup; LXC needs both: the sysfs of this network to look
# the bridge up in /sys/class/net, and the cgroups to start anything. Descriptor 3 keeps the cgroups reachable
# while the new sysfs covers them. The mounts follow the machine's (slave), so that an unpinned namespace is
# not held by the mount tables of another lab's monitors.
_ENTER_SYS = (
    "exec 3</sys/fs/cgroup && mount -t sysfs sysfs /sys && "
    'mount --no-canonicalize --rbind /proc/self/fd/3 /sys/fs/cgroup && exec 3<&- && exec "$@"'
)


def bridge_of(inventory: Inventory) -> IPv4Interface:
    """What an embedded lab's switch carries: the gateway's address."""
    return IPv4Interface((inventory.network.gateway, inventory.network.lan.prefixlen))


class LabNetwork:
    """The namespace `plumbline-<lab>` and its switch `lab0`, which carries the gateway's address.

    `home` is the lab's folder; the switch carries its path as the mark of ownership.
    """

    def __init__(self, lab: str, home: Path, bridge: IPv4Interface) -> None:
        self.name = f"plumbline-{lab}"
        self.pin = PINS / self.name
        self._home = home
        self._bridge = bridge

    def exists(self) -> bool:
        """Whether something of that name is pinned, whoever made it."""
        return self.pin.exists()

    def owner(self) -> str:
        """The lab folder written on the switch; "" when there is no namespace, switch or mark."""
        if not self.exists():
            return ""
        shown = run(["ip", "-n", self.name, "-j", "link", "show"], timeout=_SECONDS, check=False)
        if shown.code:  # a pin whose namespace is gone: left by a crash between its file and its mount
            return ""
        alias = next(
            (link.get("ifalias", "") for link in json.loads(shown.stdout) if link["ifname"] == BRIDGE), ""
        )
        return str(alias).removeprefix(_MARK) if str(alias).startswith(_MARK) else ""

    def complete(self) -> bool:
        """Whether namespace and switch are as they should be, so that nothing is left to make."""
        if self.owner() != str(self._home):
            return False
        shown = run(["ip", "-n", self.name, "-j", "address", "show", "up"], timeout=_SECONDS)
        held = {
            f"{link['ifname']} {link['address']} {address['local']}/{address['prefixlen']}"
            for link in json.loads(shown.stdout)
            for address in link["addr_info"]
        }
        bridge = f"{BRIDGE} {self._mac} {self._bridge.with_prefixlen}"
        return {bridge, "lo 00:00:00:00:00:00 127.0.0.1/8"} <= held

    @property
    def _mac(self) -> str:
        """The switch's own address: a locally administered one, with its IPv4 address as the last four bytes.

        Left to the kernel it is the lowest of the ports', so it changes when a machine is switched off or on,
        and whoever knew the harness by the old one answers into the void until its ARP entry ends.
        """
        return ":".join(f"{byte:02x}" for byte in (0x02, 0x00, *self._bridge.ip.packed))

    def make(self) -> bool:
        """Make or complete namespace and switch; True when something was made.

        The caller has checked that a namespace of that name is the lab's.
        """
        if self.complete():
            return False
        if not self._alive():
            self.remove()
            run(["ip", "netns", "add", self.name], timeout=_SECONDS)
        if not self._in(["ip", "link", "show", "dev", BRIDGE], check=False).stdout:
            self._in(["ip", "link", "add", "name", BRIDGE, "type", "bridge"])
        # The mark is last: a switch without it is completed by the next call.
        self._in(["ip", "link", "set", "dev", "lo", "up"])
        self._in(["ip", "link", "set", "dev", BRIDGE, "address", self._mac, "up"])
        self._in(["ip", "address", "replace", self._bridge.with_prefixlen, "dev", BRIDGE])
        self._in(["ip", "link", "set", "dev", BRIDGE, "alias", f"{_MARK}{self._home}"])
        return True

    def remove(self) -> bool:
        """Unpin the namespace (it ends with its last process); True when there was one."""
        if not self.exists():
            return False
        # The switch first: should anything still hold the namespace, it holds an empty one.
        run(["ip", "-n", self.name, "link", "delete", "dev", BRIDGE], timeout=_SECONDS, check=False)
        run(["ip", "netns", "delete", self.name], timeout=_SECONDS)
        # `ip netns` turned its folder into a mount of its own; without namespaces it is left as it was found.
        # With any, of whoever, this is refused as busy.
        run(["umount", str(PINS)], timeout=_SECONDS, check=False)
        return True

    def command(self, argv: Sequence[str], *, timeout: float, check: bool = True) -> Completed:
        """Run one of LXC's commands inside, with the /sys it needs, in a mount namespace of its own.

        Its command sockets are abstract, so they exist only in here. Errors as of `lab.local.run`.
        """
        self._require()
        inside = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _ENTER_SYS, "sh", *argv]
        return run(["nsenter", f"--net={self.pin}", *inside], timeout=timeout, check=check)

    def connect(self, port: str, connected: bool) -> bool:
        """Let a machine's port of the switch forward frames, or drop every one in both directions.

        A dead or stalled machine is silent, but a killed process is not: the kernel closes its sockets and
        tells the peers. The port keeps its carrier, so the machine's own network manager notices nothing.
        True when the port was switched over; a machine that is off has no port, which is fine.
        """
        if not self.exists():
            return False
        shown = self._in(["ip", "-d", "-j", "link", "show", "dev", port], check=False)
        if shown.code:
            return False
        slave = json.loads(shown.stdout)[0].get("linkinfo", {}).get("info_slave_data", {})
        wanted, number = (
            ("forwarding", "3") if connected else ("disabled", "0")
        )  # linux/if_bridge.h, BR_STATE_
        if slave.get("state") == wanted:
            return False
        # Not `ip link set ... type bridge_slave state`: iproute2 6.1 takes it and nothing happens.
        self._in(["bridge", "link", "set", "dev", port, "state", number])
        return True

    def unplug(self, port: str) -> None:
        """Remove a machine's port if it is still there."""
        if self.exists():
            self._in(["ip", "link", "delete", "dev", port], check=False)

    def enter(self) -> None:
        """Move the calling thread in; threads and processes it starts later are inside too.

        Raises `FailedError` when the lab has no network.
        """
        self._require()
        enter_network(self.pin)

    def _require(self) -> None:
        if not self.exists():
            raise FailedError(f"network namespace {self.name}: does not exist", next_step="invoke build")

    def _alive(self) -> bool:
        return self.exists() and self._in(["true"], check=False).code == 0

    def _in(self, argv: Sequence[str], *, check: bool = True) -> Completed:
        return run(["nsenter", f"--net={self.pin}", *argv], timeout=_SECONDS, check=check)
