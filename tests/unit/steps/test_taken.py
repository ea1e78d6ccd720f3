"""C53: before a first build, whoever has an address of the lab is told where this machine is in the LAN."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import LanInterface
from lab.machines import State
from lab.steps import taken as module
from lab.steps.context import Context
from lab.steps.taken import taken
from tests.fakes import FULL_MACHINES
from tests.world import World

PLACE = LanInterface("lan0", IPv4Address("10.1.1.9"), "02:00:00:00:00:09")
PRINTER = "5e:00:00:00:00:01"


@pytest.fixture
def lan(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[IPv4Address, tuple[str, ...]]:
    """This machine stands in the LAN of full machines; what it hears there is filled in."""
    heard: dict[IPv4Address, tuple[str, ...]] = {}
    world.provider.traits = FULL_MACHINES
    monkeypatch.setattr(module, "lan_interface", lambda _: PLACE)

    def sweep(place: LanInterface, addresses: set[IPv4Address]) -> dict[IPv4Address, tuple[str, ...]]:
        assert place is PLACE
        assert len(addresses) == 6 + 51
        return {address: macs for address, macs in heard.items() if address in addresses}

    monkeypatch.setattr(module, "sweep", sweep)
    return heard


def absent(world: World) -> dict[str, State]:
    return dict.fromkeys(world.inventory.hosts, State.ABSENT)


def test_c53_a_device_with_an_address_of_a_machine_stops_the_first_build(
    world: World, context: Context, lan: dict[IPv4Address, tuple[str, ...]]
) -> None:
    lan |= {IPv4Address("10.1.1.31"): (PRINTER,), IPv4Address("10.1.1.120"): (PRINTER,)}
    found = taken(context.lab, absent(world))
    assert [(str(item), item.stops) for item in found] == [
        (
            f"10.1.1.31: {PRINTER} has it; wanted: free, for hosts.worker-1.address names it; "
            "fix: take it from that device, or write another address at hosts.worker-1.address",
            True,
        ),
        (
            f"10.1.1.120: {PRINTER} has it; wanted: free, for metallb.pools[0].addresses[0] names it; "
            "fix: take it from that device, or write another address at metallb.pools[0].addresses[0]",
            False,
        ),
    ]


def test_c53_a_free_lan_says_nothing(
    world: World, context: Context, lan: dict[IPv4Address, tuple[str, ...]]
) -> None:
    lan |= {IPv4Address("10.1.1.1"): (PRINTER,)}
    assert taken(context.lab, absent(world)) == []


def test_c53_machines_of_the_lab_itself_are_no_strangers(
    world: World, context: Context, lan: dict[IPv4Address, tuple[str, ...]]
) -> None:
    lan |= {IPv4Address("10.1.1.31"): (PRINTER,)}
    assert taken(context.lab, absent(world) | {"master-1": State.OFF}) == []


@pytest.mark.usefixtures("lan")
def test_c53_without_the_right_to_ask_it_is_a_warning(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise CouldNotTell("ARP on lan0: Operation not permitted", next_step="run as root")

    monkeypatch.setattr(module, "sweep", refused)
    [warning] = taken(context.lab, absent(world))
    assert not warning.stops
    assert "as root: sudo -E invoke preflight" in str(warning)


def test_c53_containers_have_a_lan_of_their_own(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "lan_interface", lambda _: pytest.fail("it was looked for"))
    assert taken(context.lab, absent(world)) == []


def test_c53_a_machine_outside_the_lan_asks_nobody(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(_: object) -> None:
        raise CouldNotTell("this process has no address on the LAN", next_step="")

    world.provider.traits = FULL_MACHINES
    monkeypatch.setattr(module, "lan_interface", nowhere)
    assert taken(context.lab, absent(world)) == []
