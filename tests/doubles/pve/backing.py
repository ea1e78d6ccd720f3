"""What stands behind a virtual machine: nothing but a clock, or a real machine."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol

from tests.doubles.pve.clock import Clock
from tests.doubles.pve.formats import property_string
from tests.doubles.pve.state import Vm

Interfaces = list[dict[str, Any]]
"""What the guest agent says of the guest's interfaces."""


class Backing(Protocol):
    """Follows the power of the double's VMs. What returns a future goes on in the background."""

    def start(self, vm: Vm, /) -> Future[None] | None: ...

    def stop(self, vm: Vm, /) -> Future[None] | None: ...

    def restart(self, vm: Vm, /) -> Future[None] | None: ...

    def hold(self, vm: Vm, paused: bool, /) -> None: ...

    def destroy(self, vm: Vm, /) -> None: ...

    def interfaces(self, vm: Vm) -> Interfaces | None:
        """None while the guest agent does not answer."""


class Simulated:
    """VMs that exist on paper: up at once, their agent after `agent_seconds` (None: it is not installed)."""

    def __init__(self, clock: Clock, agent_seconds: float | None = 0.0) -> None:
        self._clock = clock
        self.agent_seconds = agent_seconds
        self.scripted: dict[int, list[Interfaces | None]] = {}
        """Answers of a VM's agent in turn, the last for ever; for tests of what guests may say."""

    def start(self, _vm: Vm) -> Future[None] | None:
        return None

    def stop(self, _vm: Vm) -> Future[None] | None:
        return None

    def restart(self, _vm: Vm) -> Future[None] | None:
        return None

    def hold(self, _vm: Vm, _paused: bool) -> None:
        pass

    def destroy(self, _vm: Vm) -> None:
        pass

    def interfaces(self, vm: Vm) -> Interfaces | None:
        script = self.scripted.get(vm.vmid)
        if script:
            return script.pop(0) if len(script) > 1 else script[0]
        if self.agent_seconds is None or self._clock.now() < vm.started_at + self.agent_seconds:
            return None
        return [_loopback(), *_cards(vm)]


def _loopback() -> dict[str, Any]:
    return {
        "name": "lo",
        "hardware-address": "00:00:00:00:00:00",
        "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}],
    }


def _cards(vm: Vm) -> Interfaces:
    """The cards with the addresses that cloud-init was told."""
    cards = []
    for key in sorted(key for key in vm.running if key.startswith("net")):
        number = key.removeprefix("net")
        mac = mac_of(vm.running[key])
        addresses = [{"ip-address": _link_local(mac), "ip-address-type": "ipv6", "prefix": 64}]
        told = vm.running.get(f"ipconfig{number}", "")
        ip = property_string(told, ("ip", "gw", "ip6", "gw6")).get("ip", "dhcp") if told else "dhcp"
        if "/" in ip:
            address, _, prefix = ip.partition("/")
            addresses.insert(0, {"ip-address": address, "ip-address-type": "ipv4", "prefix": int(prefix)})
        cards.append({"name": f"eth{number}", "hardware-address": mac, "ip-addresses": addresses})
    return cards


def mac_of(net: str) -> str:
    """The MAC of a card, in lower case."""
    return net.partition(",")[0].partition("=")[2].lower()


def _link_local(mac: str) -> str:
    parts = [int(part, 16) for part in mac.split(":")]
    parts[0] ^= 2
    a, b, c, d, e, f = parts
    return f"fe80::{a:x}{b:02x}:{c:x}ff:fe{d:02x}:{e:x}{f:02x}"
