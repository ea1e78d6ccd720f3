"""Settings as a process tells them itself, compared with those that it should have: pure.

Documents say `sandbox_image` or `clusterCIDR` where a program says `sandboxImage` or `ClusterCIDR`: names are
compared without case and underscores. Of times the length counts: Go says 1m0s for 60s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lab.checks.words import shown

_LENGTHS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNSET: tuple[Any, ...] = (None, "", 0, "0", "0s", {}, [])
"""With these a component's document leaves a setting to the component, which has a default of its own."""


def unlike(wanted: Mapping[str, Any], told: Mapping[str, Any], under: str = "") -> Iterator[str]:
    """Every wanted setting that a process has otherwise, or does not tell: `maxPods: 40, not 110`."""
    held = {_folded(key): value for key, value in told.items()}
    for key, value in wanted.items():
        name, seen = f"{under}{key}", held.get(_folded(key))
        if isinstance(value, Mapping) and isinstance(seen, Mapping):
            yield from unlike(value, seen, f"{name}.")
        elif not _same(value, seen):
            yield f"{name}: {shown(seen)}, not {shown(value)}"


def given(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a component's document says, without what it leaves to the component and without its kind."""
    inner = {
        key: given(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
        if key not in ("apiVersion", "kind")
    }
    # False is no gap: kubeadm writes it where the field has a default of its own
    return {key: value for key, value in inner.items() if value is False or value not in _UNSET}


def over(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of both; where both say something the second counts."""
    found = dict(first)
    for key, value in second.items():
        there = found.get(key)
        both = isinstance(there, Mapping) and isinstance(value, Mapping)
        found[key] = over(there, value) if both else value  # type: ignore[arg-type]
    return found


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _same(value: Any, seen: Any) -> bool:
    if isinstance(value, str) and isinstance(seen, str):
        ours, theirs = _seconds(value), _seconds(seen)
        if ours is not None and theirs is not None:
            return abs(ours - theirs) < 1e-9
    # 1 is no True here
    return type(value) is type(seen) and bool(value == seen)


def _seconds(text: str) -> float | None:
    """The length of a time as Go writes it (time.Duration), None for what is none."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _LENGTHS[unit] for number, unit in parts)
