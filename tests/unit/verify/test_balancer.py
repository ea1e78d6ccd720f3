"""HAProxy's running servers: their addresses are the masters', and silence is no answer."""

from __future__ import annotations

import pytest

from lab.checks.balancer import STAT, lead_to_the_masters
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell, Mismatch
from tests.fakes import FakeSsh
from tests.world import inventory


def stat(*servers: tuple[str, str]) -> str:
    lines = [f"kube-apiservers,{name},UP,{address}," for name, address in servers]
    return "\n".join(["# pxname,svname,status,addr,", *lines, "kube-apiservers,BACKEND,UP,,"]) + "\n"


def masters() -> list[tuple[str, str]]:
    lab = inventory()
    return [(name, f"{lab.hosts[name].address}:{lab.kubernetes.api_port}") for name in lab.masters]


def test_addresses_of_the_inventory_are_accepted(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("haproxy", STAT, stat(*masters()))
    lead_to_the_masters(driver)


def test_an_old_address_behind_a_right_name_is_named(driver: Driver, ssh: FakeSsh) -> None:
    held = masters()
    ssh.on("haproxy", STAT, stat(*held[:2], (held[2][0], held[0][1])))
    with pytest.raises(Mismatch, match=rf"seen: .*{held[2][0]}: {held[0][1]}"):
        lead_to_the_masters(driver)


def test_a_socket_that_tells_no_addresses_is_could_not_tell(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("haproxy", STAT, stat(*((name, "") for name, _ in masters())))
    with pytest.raises(CouldNotTell, match="does not tell its servers' addresses"):
        lead_to_the_masters(driver)
