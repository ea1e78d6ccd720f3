"""Drives of a VM: what may be asked for, and the volumes that come of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.doubles.pve.answers import ApiError, TaskError, wrong
from tests.doubles.pve.sizes import GIB, MIB, format_size, parse_size
from tests.doubles.pve.state import DRIVE, Storage, Vm, Volume, parse_drive, write_drive
from tests.doubles.pve.world import Call, World

NEW = re.compile(r"([A-Za-z][\w\-.]*[A-Za-z0-9]):(\d+(?:\.\d+)?)")
CLOUD_INIT = re.compile(r"([A-Za-z][\w\-.]*[A-Za-z0-9]):cloudinit")


def check_drives(call: Call, options: Mapping[str, str]) -> None:
    """Whether this caller may ask for these drives here. Raises `ApiError`."""
    for key, value in options.items():
        if not DRIVE.fullmatch(key):
            continue
        words = parse_drive(value)
        cdrom = words.get("media") == "cdrom" or words["file"] in ("none", "cdrom")
        drive = CLOUD_INIT.fullmatch(words["file"])
        new = NEW.fullmatch(words["file"])
        if "import-from" in words and (new is None or float(new[2])):
            raise wrong(
                key, "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"
            )
        call.require_vm("VM.Config.CDROM" if cdrom or drive else "VM.Config.Disk")
        if drive or new:
            storage = (drive or new)[1]  # type: ignore[index]
            call.require(f"/storage/{storage}", "Datastore.AllocateSpace")
            if "images" not in call.storage(storage).content:
                raise wrong("storage", f"storage '{storage}' does not support vm images")
            if new and "import-from" in words:
                _check_source(call, key, words["import-from"])
        elif words["file"] not in ("none", "cdrom"):
            _check_existing(call, words["file"])


def _check_source(call: Call, key: str, source: str) -> None:
    if source.startswith("/"):
        raise ApiError(500, "Only root can pass arbitrary filesystem paths.")
    storage = source.partition(":")[0]
    call.require(f"/storage/{storage}", "Datastore.AllocateSpace", "Datastore.Audit", any_of=True)
    call.storage(storage)
    volume = call.world.volume(call.node.name, source)
    if volume is None:
        raise ApiError(500, f"volume '{source}' does not exist")
    if volume.content not in ("images", "import"):
        raise wrong(key, f"{source} has wrong type '{volume.content}' - needs to be 'images' or 'import'")


def _check_existing(call: Call, volid: str) -> None:
    storage = volid.partition(":")[0]
    call.require(f"/storage/{storage}", "Datastore.AllocateSpace", "Datastore.Audit", any_of=True)
    call.storage(storage)
    volume = call.world.volume(call.node.name, volid)
    if volume is None:
        raise ApiError(500, f"volume '{volid}' does not exist")
    if volume.vmid and volume.vmid != call.arguments["vmid"]:
        call.require(f"/vms/{volume.vmid}", "VM.Config.Disk")


def realise(world: World, vm: Vm, value: str) -> str:
    """Make what a drive asks for; gives back the drive as the configuration keeps it. Raises `TaskError`."""
    words = parse_drive(value)
    drive, new = CLOUD_INIT.fullmatch(words["file"]), NEW.fullmatch(words["file"])
    if drive:
        volume = allocate(
            world, vm.node, world.storages[drive[1]], vm.vmid, 4 * MIB, 4 * MIB, cloud_init=True
        )
        return write_drive({"file": volume.volid, "media": "cdrom", "size": format_size(volume.size)})
    if new is None:
        return value
    source = world.volume(vm.node, words.pop("import-from", ""))
    size = (source.virtual or source.size) if source else int(float(new[2]) * GIB)
    used = source.used if source else 0
    volume = allocate(
        world, vm.node, world.storages[new[1]], vm.vmid, size, used, format=words.pop("format", "")
    )
    words.pop("size", None)
    return write_drive(words | {"file": volume.volid, "size": format_size(volume.size)})


def allocate(
    world: World,
    node: str,
    storage: Storage,
    vmid: int,
    size: int,
    used: int,
    *,
    format: str = "",
    cloud_init: bool = False,
    parent: str = "",
) -> Volume:
    """A new volume of a VM under the first free name. Raises `TaskError` on a full storage."""
    if used > storage.free(node):
        raise TaskError(f"unable to create image: storage '{storage.name}': no space left on device")
    format = format or ("qcow2" if storage.file_based else "raw")
    prefix = f"{parent.partition(':')[2]}/" if parent and not storage.thin else ""
    prefix += f"{vmid}/" if storage.file_based else ""
    suffix = f".{format}" if storage.file_based else ""
    names = ["cloudinit"] if cloud_init else [f"disk-{number}" for number in range(64)]
    for name in names:
        volid = f"{storage.name}:{prefix}vm-{vmid}-{name}{suffix}"
        if not any(held.endswith(f"vm-{vmid}-{name}{suffix}") for held in storage.on(node)):
            break
    else:
        raise TaskError(f"unable to allocate an image name for VM {vmid} in storage '{storage.name}'")
    made = Volume(volid, "images", size, used, format, vmid, parent, int(world.clock.now()))
    storage.on(node)[volid] = made
    world.changed("volume made", volid)
    return made


def free(world: World, node: str, volid: str) -> None:
    """Remove a volume, if it is there. Raises `TaskError` while linked clones stand on it."""
    storage = world.storages.get(volid.partition(":")[0])
    if storage is None or volid not in storage.on(node):
        return
    if any(volume.parent == volid for volume in storage.on(node).values()):
        raise TaskError(f"base volume '{volid}' is still in use by linked cloned")
    del storage.on(node)[volid]
    world.changed("volume freed", volid)


def retire(world: World, vm: Vm, value: str) -> None:
    """A drive is taken out: a disk is kept as `unusedN` until that is deleted, a cloud-init drive goes."""
    words = parse_drive(value)
    volume = world.volume(vm.node, words["file"])
    if volume is None or volume.vmid != vm.vmid:
        return
    if words.get("media") == "cdrom":
        free(world, vm.node, volume.volid)
        return
    number = next(number for number in range(256) if f"unused{number}" not in vm.config)
    vm.config[f"unused{number}"] = volume.volid


def copy(world: World, source: Vm, target: Vm, value: str, *, full: bool, storage: str, format: str) -> str:
    """A drive of a clone. Raises `TaskError` when there is no room."""
    words = parse_drive(value)
    old = world.volume(source.node, words["file"])
    if old is None or old.content != "images":
        return value  # an ISO image, or no medium
    place = world.storages[storage or old.volid.partition(":")[0]]
    if words["file"].partition(".")[0].endswith("-cloudinit"):
        new = allocate(world, target.node, place, target.vmid, old.size, old.used, cloud_init=True)
    elif full:
        root = world.volume(source.node, old.parent) if old.parent else None
        used = old.used + (root.used if root else 0)
        new = allocate(world, target.node, place, target.vmid, old.size, used, format=format)
    else:
        new = allocate(world, target.node, place, target.vmid, old.size, 0, parent=old.volid)
    return write_drive(words | {"file": new.volid, "size": format_size(new.size)})


def to_base(world: World, vm: Vm, value: str) -> str:
    """A drive of a VM that becomes a template: its volume gets the name of a base."""
    words = parse_drive(value)
    storage = world.storages.get(words["file"].partition(":")[0])
    volume = storage.on(vm.node).pop(words["file"], None) if storage else None
    if storage is None or volume is None:
        return value
    if words.get("media") != "cdrom":
        volume.volid = volume.volid.replace(f"vm-{vm.vmid}-", f"base-{vm.vmid}-")
    storage.on(vm.node)[volume.volid] = volume
    return write_drive(words | {"file": volume.volid})


def grown(world: World, vm: Vm, disk: str, size: str) -> int:
    """Bytes a disk will have. Raises `ApiError` for one that is not there or would shrink."""
    drive = vm.drives().get(disk)
    volume = world.volume(vm.node, drive["file"]) if drive else None
    if drive is None:
        raise ApiError(500, f"disk '{disk}' does not exist")
    if volume is None:
        raise ApiError(500, f"volume '{drive['file']}' does not exist")
    wanted = parse_size(size.lstrip("+")) + (volume.size if size.startswith("+") else 0)
    if wanted < volume.size:
        raise ApiError(500, "shrinking disks is not supported")
    return wanted


def resize(world: World, vm: Vm, disk: str, size: int) -> None:
    """Give a disk its new size."""
    words = parse_drive(vm.config[disk])
    volume = world.volume(vm.node, words["file"])
    if volume is None:
        raise TaskError(f"volume '{words['file']}' does not exist")
    volume.size = size
    vm.config[disk] = write_drive(words | {"size": format_size(size)})
    world.changed("disk grown", f"{vm.vmid} {disk} {format_size(size)}")
