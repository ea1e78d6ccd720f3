"""Two looks at the same machines and objects, fact by fact: what a cold start has changed. Pure.

All that is told is compared. What must be otherwise after a boot, and what changes by itself, is left out by
its name in `MOVING`; so a fact that is new is compared from the first day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import translate
from typing import Any

Look = Mapping[str, Mapping[str, Any]]
"""Facts by their name, as `facts.system.kernel`, for each machine, and for the cluster's objects under ""."""
MOVING: Mapping[str, tuple[str, ...]] = {
    "the asking process, clocks, times since a start": (
        *("facts.system.status", "facts.system.clock"),
        *("facts.units.*.active_seconds", "look.units.*.since", "look.static_pods.*.since"),
    ),
    "numbers of processes, restarts while the others were not there yet": (
        *("look.units.*.process", "*.restarts"),
    ),
    "cloud-init's own copy of what it was given, which is whole from the second start on": (
        "survey.secrets[[]path=/run/cloud-init/instance-data-sensitive.json]*",
    ),
    "what is written all the time": ("survey.journal.*", "facts.system.memory_kib"),
    "links, mounts and networks of pods, with names by chance": (
        *("*links[[]veth*", "*links[[]name=veth*", "*[[]*/var/lib/kubelet/pods/*", "*[[]*/run/netns/*"),
        *("*[[]*/run/containerd/*", "look.resolvers.*"),
    ),
    "ports that the kernel chose": ("*sockets[[]tcp 127.0.0.1 * containerd*",),
    "sessions of people and of us": (
        *("*[[]name=user@*", "*[[]name=user-runtime-dir@*", "*[[]*/run/user/*", "*[[]name=session-*"),
        *("*[[]name=run-*",),
    ),
    "what a timer or the boot runs once, and whether it does so now": (
        *("survey.units[[]name=*.active", "look.units.*.sub"),
    ),
    "the kernel's counts, chances and pods' links": (
        *("sysctl kernel.random.*", "sysctl kernel.ns_last_pid", "sysctl kernel.pty.nr"),
        *("sysctl fs.*-nr", "sysctl fs.*-state", "sysctl fs.quota.*"),
        *("sysctl *nf_conntrack_count", "sysctl *.veth*", "sysctl *stable_secret"),
    ),
    "objects that tell a moment": (
        *(
            "Event *",
            "Lease *",
            "Endpoints *",
            "EndpointSlice *",
            "CertificateSigningRequest *",
            "*L2Status *",
        ),
        *("Pod *", "PodMetrics *", "NodeMetrics *", "ComponentStatus *"),
    ),
    "hardware addresses by chance, of overlays and of pods' bridges, and what follows from them": (
        *("Node *.annotations.*/backend-data", "*links[[]name=*].addresses[[]fe80:*"),
    ),
}
"""Patterns (fnmatch, `[[]` for a bracket) of names of facts, by why they are not compared."""
_MOVING = re.compile("|".join(translate(pattern) for group in MOVING.values() for pattern in group))


def facts(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every single fact of a tree by its name.

    Members of a list go by their name, path or target where they have one, else by all that they say: their
    order tells nothing.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from facts(item, f"{name}.{key}")
        if not value:
            yield name, "nothing"
    elif isinstance(value, list | tuple):
        for item in value:
            key = _key(item)
            if key:
                yield f"{name}[{key}={item[key]}]", "there"
                rest = {other: said for other, said in item.items() if other != key}
                yield from facts(rest, f"{name}[{key}={item[key]}]")
            else:
                yield f"{name}[{_line(item)}]", "there"
    else:
        yield name, value


def differences(before: Look, after: Look, bridges: Iterable[str] = ()) -> list[str]:
    """One line for each fact that differs: machine (or the cluster), fact, what it was and is.

    `bridges` are links of pods, to which the kernel gives a hardware address by chance.
    """
    found = []
    chance = tuple(f"links[name={link}].mac" for link in bridges)
    for place in dict.fromkeys([*before, *after]):
        was, is_now = before.get(place, {}), after.get(place, {})
        for name in dict.fromkeys([*was, *is_now]):
            old, new = was.get(name, "not there"), is_now.get(name, "not there")
            if old != new and not _MOVING.match(name) and not name.endswith(chance):
                found.append(f"{place or 'cluster'}: {name}: {_line(old)} -> {_line(new)}")
    return found


def _key(item: Any) -> str:
    if not isinstance(item, Mapping):
        return ""
    return next((key for key in ("name", "path") if isinstance(item.get(key), str)), "")


def _line(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(map(_line, value.values()))
    if isinstance(value, str | int | float | bool) or value is None:
        return str(value)
    return json.dumps(value, sort_keys=True, default=str)
