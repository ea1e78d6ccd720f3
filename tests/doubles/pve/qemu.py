"""Virtual machines: list, create, change, destroy."""

from __future__ import annotations

from typing import Any

from tests.doubles.pve import drives, options
from tests.doubles.pve.answers import ApiError, TaskError, wrong
from tests.doubles.pve.power import begin_start
from tests.doubles.pve.state import DRIVE, Config, Vm, parse_drive
from tests.doubles.pve.tasks import Task
from tests.doubles.pve.world import Call, World, answers

_LIST, _VM = "/nodes/{node}/qemu", "/nodes/{node}/qemu/{vmid}"


@answers(f"GET {_LIST}")
def index(call: Call) -> list[dict[str, Any]]:
    """The node's VMs that the caller may see; nothing at all for one without rights."""
    seen = [vm for vm in call.world.vms.values() if vm.node == call.node.name]
    shown = [vm for vm in seen if call.allows(f"/vms/{vm.vmid}", "VM.Audit")]
    full = call.arguments.get("full")
    return [summary(call.world, vm) | ({"qmpstatus": qmp_status(vm)} if full else {}) for vm in shown]


def qmp_status(vm: Vm) -> str:
    """What QEMU itself says."""
    return "paused" if vm.paused else vm.status


def summary(world: World, vm: Vm) -> dict[str, Any]:
    """A VM's line in lists, and the start of its status."""
    config = vm.running or vm.config
    up = vm.status == "running"
    found: dict[str, Any] = {
        "vmid": vm.vmid,
        "name": vm.name,
        "status": vm.status,
        "cpus": int(config.get("cores", "1")) * int(config.get("sockets", "1")),
        "maxmem": int(config.get("memory", "512")) * 1024 * 1024,
        "maxdisk": _boot_disk(world, vm),
        "uptime": int(world.clock.now() - vm.started_at) if up else 0,
    }
    found |= {"template": 1} if vm.template else {}
    found |= {key: vm.config[key] for key in ("tags", "lock") if key in vm.config}
    return found | ({"pid": 10_000 + vm.vmid} if up else {})


def _boot_disk(world: World, vm: Vm) -> int:
    held = [
        world.volume(vm.node, words["file"])
        for words in vm.drives().values()
        if words.get("media") != "cdrom"
    ]
    return next((volume.size for volume in held if volume), 0)


@answers(f"POST {_LIST}")
def create(call: Call) -> str:
    """A new VM; its disks are made by the task, which locks it (`create`) meanwhile."""
    world, vmid, pool = call.world, int(call.arguments["vmid"]), call.arguments.get("pool", "")
    node = call.node.name
    if pool and pool not in world.pools:
        raise ApiError(500, f"pool '{pool}' does not exist")
    if not call.allows(f"/vms/{vmid}", "VM.Allocate") and not (
        pool and call.allows(f"/pool/{pool}", "VM.Allocate")
    ):
        raise ApiError(403, "Permission check failed")
    given = {key: value for key, value in call.arguments.items() if options.is_option(key)}
    options.check_rights(call, given)
    drives.check_drives(call, given)
    if vmid in world.vms:
        raise ApiError(
            500, f"unable to create VM {vmid} - VM {vmid} already exists on node '{world.vms[vmid].node}'"
        )
    vm = world.vms[vmid] = Vm(vmid, node, {"lock": "create"})
    world.changed("vm created", vmid)

    def effect(_task: Task) -> None:
        config = options.kept(given, {})
        options.fresh_identity(config)
        for key in [key for key in config if DRIVE.fullmatch(key)]:
            config[key] = drives.realise(world, vm, config[key])
        vm.config = config
        join_pool(world, vmid, pool)
        if call.arguments.get("start"):
            begin_start(world, vm, str(call.caller))

    return call.start("qmcreate", vmid, effect, undo=lambda: forget(world, vm), holds=frozenset({vmid}))


def join_pool(world: World, vmid: int, pool: str) -> None:
    """Put a VM into a pool, if one is named."""
    if pool:
        world.pools[pool].vmids.add(vmid)
        world.access.pools_of[vmid] = pool


def forget(world: World, vm: Vm) -> None:
    """Remove a VM with all its volumes, its place in a pool and its rights."""
    world.vms.pop(vm.vmid, None)
    for storage in world.storages.values():
        for volid in [volid for volid, volume in storage.on(vm.node).items() if volume.vmid == vm.vmid]:
            drives.free(world, vm.node, volid)
    for pool in world.pools.values():
        pool.vmids.discard(vm.vmid)
    world.access.pools_of.pop(vm.vmid, None)
    world.access.acl = [entry for entry in world.access.acl if entry.path != f"/vms/{vm.vmid}"]
    world.backing.destroy(vm)
    world.changed("vm removed", vm.vmid)


@answers(f"DELETE {_VM}")
def destroy(call: Call) -> str:
    """Remove a VM that is off, unprotected, unlocked, and no HA resource (or `purge`)."""
    world, vm = call.world, call.vm
    sid = f"vm:{vm.vmid}"
    if vm.config.get("protection") == "1":
        raise ApiError(500, f"can't remove VM {vm.vmid} - protection mode is enabled")
    if sid in world.ha_resources and not call.arguments.get("purge"):
        raise ApiError(
            500, f"unable to remove VM {vm.vmid} - used in HA resources and purge parameter not set."
        )
    if vm.status == "running":
        raise ApiError(500, f"VM {vm.vmid} is running - destroy failed")
    vm.unlocked()

    def effect(_task: Task) -> None:
        if vm.status == "running":
            raise TaskError(f"VM {vm.vmid} is running - destroy failed")
        bases = {volume.volid for volume in world.volumes() if volume.vmid == vm.vmid}
        inherited = [volume.parent for volume in world.volumes() if volume.parent in bases]
        if inherited:
            raise TaskError(f"base volume '{inherited[0]}' is still in use by linked cloned")
        if call.arguments.get("purge"):
            world.ha_resources.pop(sid, None)
        forget(world, vm)

    return call.start("qmdestroy", vm.vmid, effect, holds=frozenset({vm.vmid}))


@answers(f"GET {_VM}/config")
def config(call: Call) -> dict[str, Any]:
    """The configuration with what is pending in it, or as it is (`current`)."""
    vm = call.vm
    return options.shown(vm.config if call.arguments.get("current") else vm.wanted) | {"digest": vm.digest}


@answers(f"GET {_VM}/pending")
def pending(call: Call) -> list[dict[str, Any]]:
    """Each option with its value, what it will be, and whether it will go."""
    vm = call.vm
    now, then = options.shown(vm.config), options.shown(vm.pending)
    return [
        {"key": key}
        | ({"value": now[key]} if key in now else {})
        | ({"pending": then[key]} if key in then else {})
        | ({"delete": 1} if key in vm.deleted else {})
        for key in sorted({*now, *then})
    ]


@answers(f"PUT {_VM}/config")
def change(call: Call) -> None:
    """Change options while the caller waits."""
    vm, values, deleted = _asked(call)
    busy = call.world.tasks.holder(frozenset({vm.vmid}))
    if busy is not None:
        raise ApiError(500, f"can't lock file '/var/lock/qemu-server/lock-{vm.vmid}.conf' - got timeout")
    try:
        _change(call, vm, values, deleted)
    except TaskError as error:
        raise ApiError(500, str(error)) from error


@answers(f"POST {_VM}/config")
def change_later(call: Call) -> str:
    """Change options by a task."""
    vm, values, deleted = _asked(call)
    return call.start(
        "qmconfig", vm.vmid, lambda _task: _change(call, vm, values, deleted), holds=frozenset({vm.vmid})
    )


def _asked(call: Call) -> tuple[Vm, Config, list[str]]:
    vm = call.vm
    given = {key: value for key, value in call.arguments.items() if options.is_option(key)}
    deleted = [key for key in call.arguments.get("delete", "").replace(",", " ").split() if key]
    if not given and not deleted and "revert" not in call.arguments:
        raise ApiError(500, "no options specified")
    for key in deleted:
        if not options.is_option(key):
            raise wrong("delete", f"unknown option '{key}'")
        if key in given:
            raise wrong("delete", f"Parameter verification failed. - '{key}' can't be set and deleted")
    options.check_rights(call, [*given, *deleted])
    drives.check_drives(call, given)
    digest = call.arguments.get("digest")
    if digest and digest != vm.digest:
        raise ApiError(500, "detected modified configuration - file changed by other user? Try again.")
    vm.unlocked()
    return vm, options.kept(given, vm.wanted), deleted


def _change(call: Call, vm: Vm, values: Config, deleted: list[str]) -> None:
    for key in [key for key in values if DRIVE.fullmatch(key)]:
        before = vm.config.get(key, "")
        values[key] = drives.realise(call.world, vm, values[key])
        if before and parse_drive(before)["file"] != parse_drive(values[key])["file"]:
            drives.retire(call.world, vm, before)
    for key in call.arguments.get("revert", "").replace(",", " ").split():
        vm.pending.pop(key, None)
        vm.deleted.discard(key)
    for key in deleted:
        if DRIVE.fullmatch(key) and key in vm.config:
            drives.retire(call.world, vm, vm.config[key])
        elif key.startswith("unused") and key in vm.config:
            drives.free(call.world, vm.node, vm.config[key])
    options.change(vm, values, deleted)
    call.world.changed("vm changed", vm.vmid)
