"""Whether machines fit: memory and processors of each hypervisor, room on the storages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lab.machines import Blocker, Machine
from lab.providers.proxmox.section import Proxmox

GIB = 2**30
IMAGE_GIB = 1
"""One cloud image: those of Debian and Ubuntu take 0.4 to 0.7 GiB."""


def processors_and_memory(
    node: str, status: Mapping[str, Any], machines: Sequence[Machine]
) -> Iterator[Blocker]:
    """Machines that are still to be started on a node. `status` is the node's, as its API tells it.

    What a new machine can have is what the kernel calls available: `free` leaves out what caches give back
    at once. Where only `free` is told, it proves nothing, and too little of it is a warning.
    """
    cores, memory = int(status["cpuinfo"]["cpus"]), status["memory"]
    for item in machines:
        if item.cpus > cores:
            yield Blocker(f"hosts.{item.name}.cpus", f"{node} has {cores}", str(item.cpus), f"write {cores}")
    need = sum(item.memory_mib for item in machines)
    wanted = f"{need} MiB for {len(machines)} machines"
    smaller = "stop other machines, or use smaller ones"
    total, free = int(memory["total"]) // 2**20, int(memory["free"]) // 2**20
    if need > total:
        yield Blocker(f"memory of {node}", f"{total} MiB in all", wanted, "use fewer or smaller machines")
    elif "available" in memory:
        available = int(memory["available"]) // 2**20
        if need > available:
            yield Blocker(f"memory of {node}", f"{available} MiB available", wanted, smaller)
    elif need > free:
        seen = f"{free} MiB free; what is available is not told by this version"
        fix = f"on {node}: free -m; when its column `available` is too small, {smaller}"
        yield Blocker(f"memory of {node}", seen, wanted, fix, stops=False)


def disks(
    settings: Proxmox,
    storages: Mapping[str, Mapping[str, Mapping[str, Any]]],
    machines: Mapping[str, Sequence[Machine]],
    images: Mapping[str, int],
) -> Iterator[Blocker]:
    """Compare what machines and images will take with what is free.

    `storages` are those of each node, `machines` those to be made there, `images` how many are to be fetched
    there. A machine counts with its whole disk: a thin storage that fills up later stops all its machines.
    """
    told: set[str] = set()
    for node, there in storages.items():
        for name in dict.fromkeys((settings.storage, settings.image_storage)):
            storage = there.get(name)
            if storage is None or name in told or "avail" not in storage:
                continue
            places = list(storages) if storage.get("shared") else [node]
            made = [item for place in places for item in machines.get(place, ())]
            need, parts = 0, []
            if name == settings.storage and made:
                need, parts = sum(item.disk_gib for item in made), [f"the disks of {len(made)} machines"]
            fetched = _fetched(places, images, shared=bool(storage.get("shared")))
            if name == settings.image_storage and fetched:
                need, parts = need + fetched * IMAGE_GIB, [*parts, f"{fetched} images"]
            free = int(storage["avail"]) / GIB
            if need > free:
                place = "all nodes" if storage.get("shared") else node
                yield Blocker(
                    f"room of storage {name} on {place}",
                    f"{free:.1f} GiB free",
                    f"{need} GiB for {' and '.join(parts)}",
                    "make room there, or lower disk_gib, or name another storage in proxmox",
                )
            if storage.get("shared"):
                told.add(name)


def _fetched(places: Iterable[str], images: Mapping[str, int], *, shared: bool) -> int:
    """Images to fetch: nodes that share a storage fetch each image once."""
    counts = [images.get(place, 0) for place in places]
    return max(counts, default=0) if shared else sum(counts)
