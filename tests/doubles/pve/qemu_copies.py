"""Virtual machines: templates, clones, growing disks."""

from __future__ import annotations

from tests.doubles.pve import drives, options
from tests.doubles.pve.answers import ApiError, TaskError
from tests.doubles.pve.qemu import forget, join_pool
from tests.doubles.pve.state import DRIVE, Vm
from tests.doubles.pve.tasks import Task
from tests.doubles.pve.world import Call, answers

_VM = "/nodes/{node}/qemu/{vmid}"
LEFT_OUT = {"template", "lock", "parent", "snapstate", "digest"}
"""Options a clone does not take over; tags and description it does."""


@answers(f"POST {_VM}/template")
def template(call: Call) -> str:
    """Make a VM that is off a template: its disks become bases that nothing writes to."""
    world, vm = call.world, call.vm
    if vm.template:
        raise ApiError(500, "you can't convert a template to a template")
    if vm.status == "running":
        raise ApiError(500, "you can't convert a VM to template if VM is running")
    vm.unlocked()

    def effect(_task: Task) -> None:
        if vm.status == "running":
            raise TaskError("you can't convert a VM to template if VM is running")
        for key in vm.drives():
            vm.config[key] = drives.to_base(world, vm, vm.config[key])
        vm.config["template"] = "1"
        world.changed("template made", vm.vmid)

    return call.start("qmtemplate", vm.vmid, effect, holds=frozenset({vm.vmid}))


@answers(f"POST {_VM}/clone")
def clone(call: Call) -> str:
    """A copy under another id; linked to its template unless `full`. Locked (`clone`) until the task ends.

    Until then it has the configuration that PVE's own clients stumble over: a lock and a comment, no name.

    Two clones of one source at the same time wait for one lock; the second one loses.
    """
    world, source, given = call.world, call.vm, call.arguments
    newid, pool, storage = int(given["newid"]), given.get("pool", ""), given.get("storage", "")
    full = bool(given.get("full", not source.template))
    if pool and pool not in world.pools:
        raise ApiError(500, f"pool '{pool}' does not exist")
    _check_disks(call, source, full, storage)
    options.check_bridges(call, source.config)
    source.unlocked()
    target = _target(call, source, storage)
    if newid in world.vms:
        raise ApiError(500, f"unable to create VM {newid}: config file already exists")
    if world.tasks.holder(frozenset({source.vmid})):
        raise ApiError(500, f"can't lock file '/var/lock/qemu-server/lock-{source.vmid}.conf' - got timeout")
    config = {
        key: value
        for key, value in source.config.items()
        if key not in LEFT_OUT and not key.startswith("unused")
    }
    disks = {key: config.pop(key) for key in list(config) if DRIVE.fullmatch(key)}
    config |= {key: _new_card(value) for key, value in config.items() if key.startswith("net")}
    config["name"] = given.get("name") or f"Copy-of-VM-{source.name}"
    if given.get("description"):
        config["description"] = given["description"]
    options.fresh_identity(config)
    vm = world.vms[newid] = Vm(newid, target, {"lock": "clone", "description": "qmclone temporary file\n"})
    world.changed("vm created", newid)

    def effect(_task: Task) -> None:
        try:
            for key, value in disks.items():
                config[key] = drives.copy(
                    world, source, vm, value, full=full, storage=storage, format=given.get("format", "")
                )
        except TaskError as error:
            raise TaskError(f"clone failed: {error}") from error
        vm.config = config
        join_pool(world, newid, pool)

    return call.start(
        "qmclone", source.vmid, effect, undo=lambda: forget(world, vm), holds=frozenset({source.vmid, newid})
    )


def _check_disks(call: Call, source: Vm, full: bool, storage: str) -> None:
    """Whether this kind of copy is possible, and allowed, with the source's disks. Raises `ApiError`."""
    if not full:
        for name in ("storage", "format"):
            if name in call.arguments:
                raise ApiError(500, f"parameter '{name}' not allowed for linked clones")
    for key, words in source.drives().items():
        volume = call.world.volume(source.node, words["file"])
        if volume is None or volume.content != "images":
            continue
        place = storage or volume.volid.partition(":")[0]
        call.require(f"/storage/{place}", "Datastore.AllocateSpace")
        if "images" not in call.storage(place).content:
            raise ApiError(500, f"storage '{place}' does not support vm images")
        if not full and not source.template and words.get("media") != "cdrom":
            raise ApiError(500, f"Linked clone feature for '{key}' is not available")


def _target(call: Call, source: Vm, storage: str) -> str:
    """The node of the copy. Raises `ApiError` where its disks could not be seen."""
    target = str(call.arguments.get("target") or source.node)
    if target == source.node:
        return target
    if target not in call.world.nodes:
        raise ApiError(500, f"no such cluster node '{target}'")
    for words in source.drives().values():
        place = storage or words["file"].partition(":")[0]
        held = call.world.storages.get(place)
        if held is not None and not held.shared:
            raise ApiError(500, f"can't clone VM to node '{target}' (VM uses local storage)")
    return target


def _new_card(value: str) -> str:
    model, _, rest = value.partition(",")
    return ",".join([f"{model.partition('=')[0]}={options.new_mac()}", *([rest] if rest else [])])


@answers(f"PUT {_VM}/resize")
def resize(call: Call) -> str:
    """Let a disk grow, running or not; never shrink."""
    vm, disk = call.vm, str(call.arguments["disk"])
    digest = call.arguments.get("digest")
    if digest and digest != vm.digest:
        raise ApiError(500, "detected modified configuration - file changed by other user? Try again.")
    vm.unlocked()
    wanted = drives.grown(call.world, vm, disk, str(call.arguments["size"]))
    return call.start(
        "resize",
        vm.vmid,
        lambda _task: drives.resize(call.world, vm, disk, wanted),
        holds=frozenset({vm.vmid}),
    )
