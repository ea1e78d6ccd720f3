"""Whether the storages that an inventory names can hold what is put there, on each hypervisor."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lab.machines import Blocker
from lab.providers.proxmox.section import Proxmox
from lab.providers.proxmox.snippets import NODE

FILES = ("dir", "nfs", "cifs", "cephfs", "btrfs", "glusterfs")
"""Storages that can hold images to import, and snippets: those with files."""
REPLICATED = "zfspool"
"""The one type of storage that Proxmox VE replicates between nodes (pvesr): HA may start from the replica."""
_CONTENT = {"storage": "images", "image_storage": "import", "snippets.storage": "snippets"}


def check_storages(
    settings: Proxmox, storages: Mapping[str, Mapping[str, Mapping[str, Any]]], unknown: Collection[str]
) -> Iterator[Blocker]:
    """`storages` are those of each node by name, as its API lists them; `unknown` the paths of those that no
    node has, which has been told.
    """
    names = {
        "storage": settings.storage,
        "image_storage": settings.image_storage,
        "snippets.storage": settings.snippets.storage,
    }
    for node, there in storages.items():
        for key, name in names.items():
            if f"/storage/{name}" in unknown:
                continue
            yield from _storage(settings, node, key, name, there)
    yield from _folder_of_each(settings, storages)


def _storage(
    settings: Proxmox, node: str, key: str, name: str, there: Mapping[str, Mapping[str, Any]]
) -> Iterator[Blocker]:
    subject, content, storage = f"proxmox.{key} {name} on {node}", _CONTENT[key], there.get(name)
    if storage is None:
        yield Blocker(subject, "no such storage", f"one of {', '.join(there)}", f"correct proxmox.{key}")
        return
    if not storage.get("active") or not storage.get("enabled", 1):
        yield Blocker(subject, "not active", "active", f"pvesm set {name} --disable 0; pvesm status")
    kinds = str(storage["content"]).split(",")
    if content != "images" and storage["type"] not in FILES:
        yield Blocker(subject, f"type {storage['type']}", "a storage with files", f"correct proxmox.{key}")
    elif content not in kinds:
        fix = f"pvesm set {name} --content {','.join(sorted({*kinds, content}))}"
        yield Blocker(subject, f"content {storage['content']}", f"content {content}", fix)
    elif settings.ha and not storage.get("shared"):
        yield from _taken_over(subject, key, storage)


def _taken_over(subject: str, key: str, storage: Mapping[str, Any]) -> Iterator[Blocker]:
    """High availability starts a machine where another node sees its disks, and reads its snippet there."""
    if key == "storage" and storage["type"] != REPLICATED:
        fix = "set proxmox.ha: false, or name a shared storage in proxmox.storage"
        yield Blocker(subject, "not shared", "a storage that the node which takes over sees", fix)
    if key == "snippets.storage":
        yield Blocker(
            subject,
            "not shared",
            "snippets that the node which takes over reads: without them it starts no machine",
            "set proxmox.ha: false, or name a shared storage with files (NFS, CephFS) in proxmox.snippets",
        )


def _folder_of_each(
    settings: Proxmox, storages: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Iterator[Blocker]:
    """Nodes that do not share the storage have a folder each, and one folder reaches one of them."""
    name, folder = settings.snippets.storage, settings.snippets.folder
    nodes = [node for node, there in storages.items() if name in there and not there[name].get("shared")]
    if len(nodes) > 1 and NODE not in folder:
        login, colon, path = folder.partition(":")
        example = f"{login.partition('@')[0]}@{NODE}:{path}" if colon else f"root@{NODE}:{folder}"
        yield Blocker(
            f"proxmox.snippets.folder {folder}",
            f"leads to one place, and storage {name} is not shared: {', '.join(nodes)} have a folder each",
            f"the folder of each; {NODE} stands for the hypervisor",
            f"write folder: {example}, or name a shared storage in proxmox.snippets.storage",
        )
