"""Machines of a lab that Vagrant makes."""

from __future__ import annotations

from ipaddress import IPv4Interface

from lab.machines import Machine


def lab_machines(count: int = 6) -> list[Machine]:
    return [
        Machine(f"m{number}", IPv4Interface(f"10.1.1.{10 + number}/24"), "02:00:00:00:00:01", 2, 8192, 20, {})
        for number in range(count)
    ]
