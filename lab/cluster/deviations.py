"""What differs from a cluster's birth, in lines for a person: pure."""

from __future__ import annotations

from collections.abc import Iterable

from lab.cluster.settled import Deviation


def told(deviations: Iterable[Deviation]) -> list[str]:
    """One line for each setting that differs, with all places in it."""
    lines: dict[tuple[str, str, str, str], list[str]] = {}
    for item in deviations:
        lines.setdefault((item.field, item.setting, item.living, item.wanted), []).append(item.where)
    return [
        f"{path}: {setting}: the cluster has {living}, the file says {wanted} ({', '.join(places)})"
        for (path, setting, living, wanted), places in lines.items()
    ]
