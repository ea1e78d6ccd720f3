"""What VirtualBox and Vagrant take from each other: versions, and addresses of host-only networks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path

from lab.machines import Blocker

SINCE: Mapping[tuple[int, ...], tuple[int, ...]] = {(7, 0): (2, 3, 2), (7, 1): (2, 4, 2), (7, 2): (2, 4, 9)}
"""The first Vagrant that takes a VirtualBox (Vagrant's change log; 7.2: hashicorp/vagrant#13709)."""
RANGES = Path("/etc/vbox/networks.conf")
DEFAULT_RANGES = "* 192.168.56.0/21\n"
"""What VirtualBox 6.1.28 and later allow for host-only networks without that file."""


def numbers(version: str) -> tuple[int, ...]:
    """Up to three numbers of a version, () for one that nobody knows."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def fits(vagrant: str, virtualbox: str) -> list[Blocker]:
    """A VirtualBox that this Vagrant refuses, told before Vagrant is asked for machines.

    A VirtualBox that nobody here knows passes: Vagrant itself refuses it by name.
    """
    since = SINCE.get(numbers(virtualbox)[:2], (0,))
    if numbers(vagrant) >= since:
        return []
    wanted = f"{'.'.join(map(str, since))} or later beside VirtualBox {virtualbox}"
    return [Blocker("vagrant", vagrant, wanted, "upgrade Vagrant, or use --backend libvirt")]


def allowed(ranges: str | None, addresses: Sequence[IPv4Address], *, misspelt: bool) -> list[Blocker]:
    """Addresses that VirtualBox refuses for host-only networks, with the line that allows them (C25).

    `ranges` is the text of its file, None without one; `misspelt`: there is a file under a wrong name.
    """
    networks = [ip_network(word) for word in _networks(DEFAULT_RANGES if ranges is None else ranges)]
    outside = [address for address in addresses if not any(address in network for network in networks)]
    if not outside:
        return []
    line = "\n".join(
        f"* {network}" for network in sorted({IPv4Network((int(a) & ~255, 24)) for a in outside})
    )
    seen = f"{', '.join(map(str, outside))} outside {', '.join(map(str, networks)) or 'every range'}"
    if misspelt and ranges is None:
        seen += f"; {RANGES.with_name('network.conf')} is not read: the name has an s"
    if ranges is not None and re.search(r"^\s*\d", ranges, re.M):
        seen += f"; {RANGES} has lines without the leading `* `, which count for nothing"
    fix = f"echo '{line}' >> {RANGES}"
    return [Blocker("VirtualBox's host-only ranges", seen, f"allowed in {RANGES}", fix)]


def _networks(text: str) -> list[str]:
    found = re.findall(r"^\s*\*\s+(.+)$", text, re.M)
    return [word for words in found for word in words.split() if ":" not in word]
