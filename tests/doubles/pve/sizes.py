"""Sizes as PVE writes them: `32G`, `2252M`, with powers of 1024."""

from __future__ import annotations

import re

UNITS = ("", "K", "M", "G", "T")
GIB = 1024**3
MIB = 1024**2


def parse_size(text: str) -> int:
    """Bytes of `32G`, `1.5T`, `1024`. Raises `ValueError`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    if not found:
        raise ValueError(f"unable to parse size '{text}'")
    return int(float(found[1]) * 1024 ** UNITS.index(found[2]))


def format_size(size: int) -> str:
    """The largest unit in which the size is a whole number."""
    unit = 0
    while size and size % 1024 == 0 and unit < len(UNITS) - 1:
        size //= 1024
        unit += 1
    return f"{size}{UNITS[unit]}"
