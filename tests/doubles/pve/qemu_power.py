"""Virtual machines: power, state, cloud-init drive, guest agent."""

from __future__ import annotations

from typing import Any

from tests.doubles.pve import cloudinit
from tests.doubles.pve.answers import ApiError, TaskError
from tests.doubles.pve.formats import property_string
from tests.doubles.pve.power import begin_start, begin_stop, follow, has_drive, prepare
from tests.doubles.pve.qemu import qmp_status, summary
from tests.doubles.pve.state import Vm, is_cloud_init_option
from tests.doubles.pve.tasks import Task
from tests.doubles.pve.world import Call, answers

_VM = "/nodes/{node}/qemu/{vmid}"


@answers(f"GET {_VM}/status/current")
def current(call: Call) -> dict[str, Any]:
    """What the VM does."""
    vm = call.vm
    managed = call.world.ha_resources.get(f"vm:{vm.vmid}")
    ha: dict[str, Any] = {"managed": int(managed is not None)}
    if managed is not None:
        ha |= {"state": managed["state"], "group": managed.get("group")}
    found = summary(call.world, vm) | {"ha": ha, "qmpstatus": qmp_status(vm)}
    return found | ({"agent": 1} if has_agent(vm) else {})


def has_agent(vm: Vm) -> bool:
    """Whether the VM's configuration says that there is a guest agent."""
    value = (vm.running or vm.config).get("agent", "")
    return (
        bool(value)
        and property_string(value, ("enabled", "freeze-fs-on-backup", "fstrim_cloned_disks", "type")).get(
            "enabled"
        )
        == "1"
    )


@answers(f"POST {_VM}/status/start")
def start(call: Call) -> str:
    """Switch on; a VM under HA is started by the HA manager a moment after the task has ended."""
    return _by_manager(call, "started", "hastart") or begin_start(call.world, call.vm, str(call.caller))


def _by_manager(call: Call, state: str, kind: str) -> str:
    """The HA manager's task, if the VM is under HA; "" if it is not."""
    resource = call.world.ha_resources.get(f"vm:{call.vm.vmid}")
    if resource is None:
        return ""
    vm, world = call.vm, call.world

    def effect(_task: Task) -> None:
        resource["state"] = state
        follow(world, vm, state)

    return call.start(kind, vm.vmid, effect)


@answers(f"POST {_VM}/status/stop")
def stop(call: Call) -> str:
    """Pull the plug. `overrule-shutdown` ends a shutdown that is under way."""
    vm = call.vm
    if call.arguments.get("overrule-shutdown"):
        for task in list(call.world.tasks.all.values()):
            if task.kind == "qmshutdown" and task.id == str(vm.vmid):
                call.world.tasks.abort(task)
    return _by_manager(call, "stopped", "hastop") or begin_stop(call.world, vm, "qmstop", str(call.caller))


@answers(f"POST {_VM}/status/shutdown")
def shutdown(call: Call) -> str:
    """Ask the guest to switch itself off."""
    return _by_manager(call, "stopped", "hastop") or begin_stop(
        call.world, call.vm, "qmshutdown", str(call.caller)
    )


@answers(f"POST {_VM}/status/reboot")
def reboot(call: Call) -> str:
    """Shut down and start again, with what was pending."""
    return _again(call, "qmreboot", with_pending=True)


@answers(f"POST {_VM}/status/reset")
def reset(call: Call) -> str:
    """The reset button: nothing that is pending becomes real."""
    return _again(call, "qmreset", with_pending=False)


def _again(call: Call, kind: str, *, with_pending: bool) -> str:
    world, vm = call.world, call.vm
    vm.unlocked()
    if vm.status != "running":
        raise ApiError(500, f"VM {vm.vmid} not running")

    def effect(_task: Task) -> None:
        if with_pending:
            vm.apply_pending()
            prepare(world, vm)
            vm.running = dict(vm.config)
        vm.started_at = world.clock.now()
        world.changed("vm reset", vm.vmid)

    return world.tasks.start(
        vm.node,
        kind,
        str(vm.vmid),
        str(call.caller),
        effect,
        holds=frozenset({vm.vmid}),
        begin=lambda: world.backing.restart(vm),
    )


@answers(f"POST {_VM}/status/suspend")
def suspend(call: Call) -> str:
    """Pause the VM."""
    return _hold(call, "qmpause", paused=True)


@answers(f"POST {_VM}/status/resume")
def resume(call: Call) -> str:
    """Let it go on."""
    return _hold(call, "qmresume", paused=False)


def _hold(call: Call, kind: str, *, paused: bool) -> str:
    vm = call.vm
    if vm.status != "running":
        raise ApiError(500, f"VM {vm.vmid} not running")

    def effect(_task: Task) -> None:
        vm.paused = paused
        call.world.backing.hold(vm, paused)
        call.world.changed("vm paused" if paused else "vm resumed", vm.vmid)

    return call.start(kind, vm.vmid, effect, holds=frozenset({vm.vmid}))


@answers(f"GET {_VM}/agent/network-get-interfaces")
def interfaces(call: Call) -> dict[str, Any]:
    """The guest's interfaces, as its agent tells them."""
    vm = call.vm
    if not has_agent(vm):
        raise ApiError(500, "No QEMU guest agent configured")
    if vm.status != "running":
        raise ApiError(500, f"VM {vm.vmid} is not running")
    found = None if vm.paused else call.world.backing.interfaces(vm)
    if found is None:
        raise ApiError(500, "QEMU guest agent is not running")
    return {"result": found}


@answers(f"GET {_VM}/cloudinit")
def cloud_init(call: Call) -> list[dict[str, Any]]:
    """Cloud-init options that the drive has, and those it will have."""
    vm = call.vm
    wanted = {key for key in vm.wanted | vm.config if is_cloud_init_option(key)}
    return [
        {"key": key}
        | ({"value": vm.config[key]} if key in vm.config else {})
        | ({"pending": vm.pending[key]} if key in vm.pending else {})
        | ({"delete": 1} if key in vm.deleted else {})
        for key in sorted(wanted)
    ]


@answers(f"PUT {_VM}/cloudinit")
def regenerate(call: Call) -> None:
    """Write the drive anew, with the cloud-init options that were pending."""
    vm = call.vm.unlocked()
    vm.apply_pending({key for key in {*vm.pending, *vm.deleted} if is_cloud_init_option(key)})
    if not has_drive(vm):
        raise ApiError(500, "no cloud-init drive found")
    try:
        vm.seed = cloudinit.seed(vm.vmid, call.node, vm.config, call.world.snippets_on(call.node.name))
    except TaskError as error:
        raise ApiError(500, str(error)) from error
    call.world.changed("cloud-init written", vm.vmid)


@answers(f"GET {_VM}/cloudinit/dump")
def dump(call: Call) -> str:
    """One file of the drive as it would be written now."""
    vm = call.vm
    kinds = {"user": "user-data", "network": "network-config", "meta": "meta-data"}
    try:
        files = cloudinit.seed(vm.vmid, call.node, vm.config, call.world.snippets_on(call.node.name))
    except TaskError as error:
        raise ApiError(500, str(error)) from error
    return files[kinds[str(call.arguments["type"])]]
