"""Storages: what they hold, what is free, and how images come to them."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from tests.doubles.pve import drives
from tests.doubles.pve.answers import ApiError, TaskError, wrong
from tests.doubles.pve.state import Storage, Volume
from tests.doubles.pve.tasks import Task
from tests.doubles.pve.world import Call, Image, answers

_ONE = "/nodes/{node}/storage/{storage}"
ENDINGS = {
    "import": (".ova", ".qcow2", ".raw", ".vmdk"),
    "iso": (".iso", ".img"),
    "vztmpl": (".tar.gz", ".tar.xz", ".tar.zst"),
}
"""What a file may be called, by content (pve-storage, Storage.pm; `.img` is an ISO image here)."""
FOLDERS = {"import": "import", "iso": "iso", "vztmpl": "vztmpl"}


@answers("GET /storage")
def definitions(call: Call) -> list[dict[str, Any]]:
    """Storages that the caller may see."""
    return [
        _definition(storage)
        for storage in call.world.storages.values()
        if call.allows(f"/storage/{storage.name}", "Datastore.Audit", "Datastore.AllocateSpace", any_of=True)
    ]


@answers("GET /storage/{storage}")
def definition(call: Call) -> dict[str, Any]:
    """One storage as configured."""
    name = str(call.arguments["storage"])
    if name not in call.world.storages:
        raise ApiError(500, f"storage '{name}' does not exist")
    return _definition(call.world.storages[name])


def _definition(storage: Storage) -> dict[str, Any]:
    found: dict[str, Any] = {
        "storage": storage.name,
        "type": storage.kind,
        "content": ",".join(sorted(storage.content)),
        "shared": int(storage.shared),
    }
    if storage.file_based:
        found["path"] = "/var/lib/vz" if storage.name == "local" else f"/mnt/pve/{storage.name}"
    found |= {"nodes": ",".join(storage.nodes)} if storage.nodes else {}
    return found | ({} if storage.enabled else {"disable": 1})


@answers("GET /nodes/{node}/storage")
def on_node(call: Call) -> list[dict[str, Any]]:
    """Storages of a node with their room, as far as the caller may see them."""
    wanted = {word for word in call.arguments.get("content", "").replace(",", " ").split() if word}
    return [
        {"storage": storage.name} | _room(call, storage)
        for storage in call.world.storages.values()
        if storage.usable_on(call.node.name)
        and call.arguments.get("storage") in (None, storage.name)
        and (not wanted or wanted & set(storage.content))
        and call.allows(f"/storage/{storage.name}", "Datastore.Audit", "Datastore.AllocateSpace", any_of=True)
    ]


@answers(f"GET {_ONE}/status")
def status(call: Call) -> dict[str, Any]:
    """The room of one storage."""
    return _room(call, call.storage(str(call.arguments["storage"])))


def _room(call: Call, storage: Storage) -> dict[str, Any]:
    node = call.node.name
    return {
        "type": storage.kind,
        "content": ",".join(sorted(storage.content)),
        "total": storage.total,
        "used": storage.used(node),
        "avail": storage.free(node),
        "used_fraction": storage.used(node) / storage.total,
        "active": 1,
        "enabled": int(storage.enabled),
        "shared": int(storage.shared),
    }


@answers(f"GET {_ONE}/content")
def content(call: Call) -> list[dict[str, Any]]:
    """Volumes of a storage as a node sees them."""
    storage = call.storage(str(call.arguments["storage"]))
    kind, vmid = call.arguments.get("content"), call.arguments.get("vmid")
    return [
        {
            "volid": volume.volid,
            "content": volume.content,
            "format": volume.format,
            "size": volume.size,
            "used": volume.used,
            "ctime": volume.ctime,
        }
        | ({"vmid": volume.vmid} if volume.vmid else {})
        | ({"parent": volume.parent} if volume.parent else {})
        for volume in storage.on(call.node.name).values()
        if kind in (None, volume.content) and vmid in (None, volume.vmid)
    ]


@answers(f"DELETE {_ONE}/content/{{volume}}")
def remove(call: Call) -> str:
    """Remove a file; a disk of a VM only with rights on the VM."""
    storage = call.storage(str(call.arguments["storage"]))
    name = str(call.arguments["volume"])
    volid = name if ":" in name else f"{storage.name}:{name}"
    volume = storage.on(call.node.name).get(volid)
    if volume is not None and volume.vmid:
        call.require(f"/vms/{volume.vmid}", "VM.Config.Disk")
    call.require(f"/storage/{storage.name}", "Datastore.Allocate", "Datastore.AllocateTemplate", any_of=True)
    if volume is None:
        raise ApiError(500, f"volume '{volid}' does not exist")

    def effect(_task: Task) -> None:
        drives.free(call.world, call.node.name, volid)

    return call.start("imgdel", f"{volume.vmid or ''}@{storage.name}", effect)


def _new_file(call: Call) -> tuple[Storage, str]:
    """The storage and volume id of a file to come. Raises `ApiError`."""
    storage, kind = call.storage(str(call.arguments["storage"])), str(call.arguments["content"])
    name = str(call.arguments["filename"])
    if not storage.file_based:
        raise ApiError(500, f"can't upload to storage type '{storage.kind}'")
    if kind not in storage.content:
        raise ApiError(500, f"storage '{storage.name}' does not support '{kind}' content")
    if not name.endswith(ENDINGS[kind]):
        raise wrong("filename", "wrong file extension")
    return storage, f"{storage.name}:{FOLDERS[kind]}/{name}"


def _put(call: Call, storage: Storage, volid: str, image: Image) -> None:
    """The file is there, if its checksum is right and there is room. Raises `TaskError`."""
    algorithm, expected = call.arguments.get("checksum-algorithm"), call.arguments.get("checksum", "")
    found = hashlib.new(str(algorithm), image.data).hexdigest() if algorithm else expected
    if found != expected.lower():
        raise TaskError(f"checksum mismatch: got '{found}' != expect '{expected}'")
    node = call.node.name
    if image.size > storage.free(node):
        raise TaskError(f"write to '{volid}' failed: No space left on device")
    ending = volid.rpartition(".")[2]
    storage.on(node)[volid] = Volume(
        volid,
        str(call.arguments["content"]),
        image.size,
        image.size,
        ending,
        ctime=int(call.now()),
        data=image.data,
        virtual=image.virtual_size,
    )
    call.world.changed("file stored", volid)


@answers(f"POST {_ONE}/download-url")
def download(call: Call) -> str:
    """Fetch a file from a web server. One that is there with the right checksum is not fetched again."""
    storage, volid = _new_file(call)
    url = str(call.arguments["url"])

    def effect(task: Task) -> None:
        there = call.world.volume(call.node.name, volid)
        algorithm, expected = call.arguments.get("checksum-algorithm"), call.arguments.get("checksum", "")
        if (
            there is not None
            and algorithm
            and hashlib.new(str(algorithm), there.data).hexdigest() == expected
        ):
            task.log.append("OK, got correct file already, no need to download")
            return
        image = call.world.web.get(url)
        if image is None:
            raise TaskError(f"download failed: 404 Not Found: {url}")
        task.log.append(f"downloading {url} to {volid}")
        _put(call, storage, volid, image)

    return call.start("download", str(call.arguments["filename"]), effect)


@answers(f"POST {_ONE}/upload")
def upload(call: Call) -> str:
    """Take a file that came with the request."""
    storage, volid = _new_file(call)
    size = len(call.upload)
    return call.start("imgcopy", "", lambda _task: _put(call, storage, volid, Image(call.upload, size, size)))


@answers("GET /nodes/{node}/query-url-metadata")
def metadata(call: Call) -> dict[str, Any]:
    """What a web server says of a file."""
    url = str(call.arguments["url"])
    image = call.world.web.get(url)
    if image is None:
        raise ApiError(500, "invalid server response: '404 Not Found'")
    name = urlsplit(url).path.rpartition("/")[2]
    return {"filename": name, "size": image.size, "mimetype": "application/octet-stream"}
