"""What differs from a cluster's birth, in lines for a person: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from lab.cluster.settled import Deviation

FEW = 3
"""How many hosts, or values of a setting, are named; the others are counted."""


def told(deviations: Iterable[Deviation]) -> list[str]:
    """One line for each setting and pair of values, with all places in it.

    A setting of which each node has a value of its own, such as its part of the pods' network, has one line
    for all of them where it would have more than `FEW`.
    """
    groups: dict[tuple[str, str], dict[tuple[str, str, str], list[Deviation]]] = {}
    for item in deviations:
        field = "hosts.*" if item.field.startswith("hosts.") else item.field
        lines = groups.setdefault((field, item.setting), {})
        lines.setdefault((item.field, item.living, item.wanted), []).append(item)
    return [
        _line(items)
        for lines in groups.values()
        for items in (lines.values() if len(lines) <= FEW else [[*chain(*lines.values())]])
    ]


def _line(items: Sequence[Deviation]) -> str:
    fields = _few(item.field for item in items)
    living = _few(item.living for item in items)
    wanted = _few(item.wanted for item in items)
    places: dict[str, list[str]] = {}
    for item in items:
        what, _, host = item.where.rpartition(" ")
        places.setdefault(what, []).append(host)
    where = "; ".join(f"{what} {_few(hosts)}" for what, hosts in places.items())
    if items[0].names:
        return f"{fields}: {items[0].setting}: the certificate lacks {wanted}, which the file names ({where})"
    return f"{fields}: {items[0].setting}: the cluster has {living}, the file says {wanted} ({where})"


def _few(words: Iterable[str]) -> str:
    """Each word once, the first few of them by name."""
    distinct = [*dict.fromkeys(words)]
    more = len(distinct) - FEW
    if more <= 0:
        return ", ".join(distinct)
    return f"{', '.join(distinct[:FEW])} and {more} other{'s' * (more > 1)}"
