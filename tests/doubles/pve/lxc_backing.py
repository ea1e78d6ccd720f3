"""Real machines behind the double's VMs: LXC containers that boot from the cloud-init drive PVE would attach.

What stands for the cloud image is a Debian root filesystem with the roles' packages and none of our programs.
A machine gets nothing but its VM's drive: name, login, keys, network and vendor data are from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Interface
from pathlib import Path

from lab.errors import PlumblineError
from lab.machines import Machine, Power, State, Volume
from lab.providers.lxc.machine import SEED
from lab.providers.lxc.network import LabNetwork
from lab.providers.lxc.provider import LxcProvider
from tests.doubles.pve.answers import TaskError
from tests.doubles.pve.backing import Interfaces, mac_of
from tests.doubles.pve.state import Vm

_AGENT = "test -S /run/dbus/system_bus_socket && ip -j address show"
"""A guest agent is a service of the guest: it answers when the guest's services do."""
_AGENT_SECONDS = 5.0


class LxcBacking:
    """Follows the double's VMs with the machines of a lab of its own, in that lab's network.

    `home` is a folder of its own for the machines, `bridge` the address of the network's router, `image` the
    root filesystem that every machine starts from.
    """

    def __init__(self, lab: str, home: Path, bridge: IPv4Interface, image: Path) -> None:
        self._home = home
        self._network = LabNetwork(lab, home, bridge)
        self._provider = LxcProvider(lab, home, bridge, (image,))
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="pve-backing")

    def open(self) -> None:
        """Make the network, without machines. What an earlier run left is removed first."""
        self._provider.clean()
        self._provider.prepare()

    def enter(self) -> None:
        """This thread's sockets are in the machines' network from here on."""
        self._provider.enter()

    def close(self) -> None:
        """Remove machines and network."""
        self._pool.shutdown()
        self._provider.clean()

    def start(self, vm: Vm, /) -> Future[None] | None:
        return self._submit("start", lambda: self._start(vm))

    def stop(self, vm: Vm, /) -> Future[None] | None:
        return self._submit("stop", lambda: self._power(vm, Power.OFF))

    def restart(self, vm: Vm, /) -> Future[None] | None:
        return self._submit("reset", lambda: self._power(vm, Power.RESET))

    def hold(self, vm: Vm, paused: bool, /) -> None:
        self._power(vm, Power.PAUSE if paused else Power.RESUME)

    def destroy(self, vm: Vm, /) -> None:
        self._provider.destroy(_name(vm))

    def interfaces(self, vm: Vm, /) -> Interfaces | None:
        argv = ["lxc-attach", "-P", str(self._home / "machines"), "-n", _name(vm), "--", "sh", "-c", _AGENT]
        try:
            told = self._network.command(argv, timeout=_AGENT_SECONDS, check=False)
        except PlumblineError:
            return None
        return [_interface(link) for link in json.loads(told.stdout)] if told.code == 0 else None

    def _submit(self, what: str, action: Callable[[], object]) -> Future[None]:
        """Work in the background; what the provider raises is the end of the task."""

        def work() -> None:
            try:
                action()
            except PlumblineError as error:
                raise TaskError(f"{what} failed: {error.message}") from error

        return self._pool.submit(work)

    def _power(self, vm: Vm, action: Power) -> None:
        self._provider.power(_name(vm), action)

    def _start(self, vm: Vm) -> None:
        """Make the machine at its first start; put the drive's present files into it at every one."""
        name = _name(vm)
        if self._provider.state(name) is not State.ABSENT:
            self._write_seed(name, vm.seed)
        self._provider.create(
            Machine(
                name=name,
                interface=IPv4Interface("192.0.2.1/24"),  # unused: the drive says what the address is
                mac=mac_of(vm.config["net0"]),
                cpus=int(vm.config.get("cores", "1")),
                memory_mib=int(vm.config.get("memory", "512")),
                disk_gib=0,
                cloud_init=vm.seed,
                # containerd's overlay snapshotter cannot live on an overlay
                volumes=(
                    Volume("/var/lib/containerd"),
                    Volume("/var/lib/kubelet"),
                    Volume("/var/lib/etcd"),
                ),
            )
        )

    def _write_seed(self, name: str, seed: dict[str, str]) -> None:
        folder = self._home / "machines" / name / "upper" / SEED
        for file, text in seed.items():
            (folder / file).write_text(text)


def _name(vm: Vm) -> str:
    """A name by number: that a guest knows its own name is the drive's work."""
    return f"vm-{vm.vmid}"


def _interface(link: dict[str, object]) -> dict[str, object]:
    """One interface of `ip -j address` in the words of the guest agent."""
    addresses = link.get("addr_info", [])
    assert isinstance(addresses, list)
    families = {"inet": "ipv4", "inet6": "ipv6"}
    return {
        "name": link["ifname"],
        "hardware-address": link.get("address", "00:00:00:00:00:00"),
        "ip-addresses": [
            {
                "ip-address": address["local"],
                "ip-address-type": families[address["family"]],
                "prefix": address["prefixlen"],
            }
            for address in addresses
        ],
    }
