"""Certificates as they are served: what lies in a file may not be what a process has read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from lab.checks.driver import Driver
from lab.inventory.models import Inventory
from lab.render.firewall import port_of

_LINE = re.compile(r"^(\d+) notAfter=(.+)$", re.MULTILINE)


def served_ports(inventory: Inventory, host: str) -> tuple[int, ...]:
    """Ports at which a node serves certificates of the cluster, or one of its kubelet's."""
    masters = ("the API server", "etcd", "etcd's peers") if host in inventory.masters else ()
    return tuple(port_of(inventory, name) for name in ("the kubelet", *masters))


def end_dates(driver: Driver, host: str, ports: Iterable[int]) -> dict[int, datetime]:
    """When the certificate ends that each port of a host serves, asked there; a port that serves none is
    missing."""
    address = driver.inventory.hosts[host].address
    listed = " ".join(map(str, ports))
    command = (
        f"for port in {listed}; do printf '%s ' $port; "
        f"timeout 5 openssl s_client -connect {address}:$port </dev/null 2>/dev/null"
        " | openssl x509 -noout -enddate 2>/dev/null || echo none; done"
    )
    return read_dates(driver.read(host, command))


def read_dates(said: str) -> dict[int, datetime]:
    """What openssl says of each port, by port."""
    return {
        int(port): datetime.strptime(date.strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        for port, date in _LINE.findall(said)
    }


def ending(
    dates: Mapping[int, datetime], ports: Iterable[int], left: timedelta, now: datetime
) -> dict[str, str]:
    """Ports that serve a certificate which ends earlier than `left` from now, or none at all."""
    found = {}
    for port in ports:
        if port not in dates:
            found[f"{port}/tcp"] = "serves none"
        elif dates[port] - now < left:
            found[f"{port}/tcp"] = f"until {dates[port]:%Y-%m-%d}"
    return found
