"""What switching a VM on and off means, whoever asks for it: a caller, a new VM, the HA manager."""

from __future__ import annotations

from concurrent.futures import Future

from tests.doubles.pve import cloudinit
from tests.doubles.pve.answers import TaskError
from tests.doubles.pve.contract_vm import NET_KEYS
from tests.doubles.pve.formats import property_string
from tests.doubles.pve.state import Vm
from tests.doubles.pve.tasks import Task, failing
from tests.doubles.pve.world import World

MANAGER = "root@pam"


def begin_start(world: World, vm: Vm, user: str) -> str:
    """The task that starts a VM; gives back its UPID."""
    vmid = vm.vmid

    def begin() -> Future[None] | None:
        if vm.template:
            raise TaskError("you can't start a vm if it's a template")
        if vm.lock:
            raise TaskError(f"VM is locked ({vm.lock})")
        if vm.status == "running":
            raise TaskError(f"VM {vmid} already running")
        vm.apply_pending()
        prepare(world, vm)
        return world.backing.start(vm)

    def effect(_task: Task) -> None:
        vm.status, vm.paused, vm.started_at = "running", False, world.clock.now()
        vm.running = dict(vm.config)
        world.changed("vm started", vmid)

    return world.tasks.start(
        vm.node, "qmstart", str(vmid), user, effect, holds=frozenset({vmid}), begin=begin
    )


def prepare(world: World, vm: Vm) -> None:
    """Bridges, disks and cloud-init drive of a VM that is about to start. Raises `TaskError`."""
    node = world.nodes[vm.node]
    for key, value in vm.config.items():
        words = property_string(value, NET_KEYS) if key.startswith("net") else {}
        bridge, vnet = words.get("bridge", ""), world.vnets.get(words.get("bridge", ""))
        if bridge and bridge not in node.bridges and not (vnet and vnet.on(node.name)):
            raise TaskError(f"bridge '{bridge}' does not exist")
        if vnet and "tag" in words and not vnet.vlan_aware:
            raise TaskError(f"vm vlans are not allowed on vnet {bridge}")
    for words in vm.drives().values():
        if words["file"] not in ("none", "cdrom") and world.volume(vm.node, words["file"]) is None:
            raise TaskError(f"volume '{words['file']}' does not exist")
    if has_drive(vm):
        vm.seed = cloudinit.seed(vm.vmid, node, vm.config, world.snippets_on(node.name))


def has_drive(vm: Vm) -> bool:
    """Whether the VM has a cloud-init drive."""
    return any(words["file"].partition(".")[0].endswith("-cloudinit") for words in vm.drives().values())


def begin_stop(world: World, vm: Vm, kind: str, user: str) -> str:
    """The task (`qmstop` or `qmshutdown`) after which a VM is off."""
    vmid = vm.vmid
    if vm.lock:
        text = f"VM is locked ({vm.lock})"
        return world.tasks.start(vm.node, kind, str(vmid), user, failing(text), seconds=0)
    if vm.status != "running":  # to stop a VM that is off is no error, to shut it down is
        nothing = failing(f"VM {vmid} not running") if kind == "qmshutdown" else lambda _task: None
        return world.tasks.start(vm.node, kind, str(vmid), user, nothing, seconds=0)

    def effect(_task: Task) -> None:
        switch_off(world, vm)

    return world.tasks.start(
        vm.node, kind, str(vmid), user, effect, holds=frozenset({vmid}), begin=lambda: world.backing.stop(vm)
    )


def switch_off(world: World, vm: Vm) -> None:
    """The VM is off from here on, and what was pending is real."""
    vm.status, vm.paused, vm.running = "stopped", False, {}
    vm.apply_pending()
    world.changed("vm stopped", vm.vmid)


def take_over(world: World, node: str) -> None:
    """A node dies, and the HA manager starts what it managed there on another one.

    There are only disks that this one sees, or has a replica of, and only its own snippets.
    """
    world.nodes[node].down = True
    target = next(name for name, other in world.nodes.items() if not other.down)
    for vm in [vm for vm in world.vms.values() if vm.node == node]:
        switch_off(world, vm)
        if f"vm:{vm.vmid}" not in world.ha_resources:
            continue
        for storage in world.storages.values():
            if storage.kind == "zfspool":
                replicas = {volid: item for volid, item in storage.on(node).items() if item.vmid == vm.vmid}
                storage.on(target).update(replicas)
        vm.node = target
        begin_start(world, vm, MANAGER)


def follow(world: World, vm: Vm, state: str) -> None:
    """What the HA manager does when a resource is to be in another state."""
    if state in ("started", "enabled") and vm.status != "running" and not vm.lock:
        begin_start(world, vm, MANAGER)
    if state in ("stopped", "disabled") and vm.status == "running":
        begin_stop(world, vm, "qmstop", MANAGER)
