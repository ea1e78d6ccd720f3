"""Pools and high availability."""

from __future__ import annotations

from typing import Any

from tests.doubles.pve.answers import ApiError
from tests.doubles.pve.power import follow
from tests.doubles.pve.qemu import join_pool, summary
from tests.doubles.pve.state import Pool
from tests.doubles.pve.world import Call, answers

_HA = "/cluster/ha"


# --- pools


def _pool(call: Call) -> Pool:
    pool = call.world.pools.get(str(call.arguments["poolid"]))
    if pool is None:
        raise ApiError(500, f"pool '{call.arguments['poolid']}' does not exist")
    return pool


@answers("GET /pools")
def pools(call: Call) -> list[dict[str, Any]]:
    """Pools that the caller may see; one with its members when it is named."""
    wanted = call.arguments.get("poolid")
    return [
        {"poolid": pool.poolid, "comment": pool.comment}
        | ({"members": _members(call, pool)} if wanted else {})
        for pool in call.world.pools.values()
        if wanted in (None, pool.poolid) and call.allows(f"/pool/{pool.poolid}", "Pool.Audit")
    ]


@answers("GET /pools/{poolid}")
def pool(call: Call) -> dict[str, Any]:
    found = _pool(call)
    return {"comment": found.comment, "members": _members(call, found)}


def _members(call: Call, pool: Pool) -> list[dict[str, Any]]:
    world = call.world
    return [
        {"id": f"qemu/{vmid}", "type": "qemu", "node": world.vms[vmid].node} | summary(world, world.vms[vmid])
        for vmid in sorted(pool.vmids)
        if call.allows(f"/vms/{vmid}", "VM.Audit")
    ]


@answers("POST /pools")
def add_pool(call: Call) -> None:
    name = str(call.arguments["poolid"])
    if name in call.world.pools:
        raise ApiError(500, f"create pool failed: pool '{name}' already exists")
    call.world.pools[name] = Pool(name, call.arguments.get("comment", ""))
    call.world.changed("pool made", name)


@answers("PUT /pools")
@answers("PUT /pools/{poolid}")
def change_pool(call: Call) -> None:
    """Put VMs in or take them out. A VM of another pool only moves with `allow-move`."""
    world, pool = call.world, _pool(call)
    for vmid in (int(word) for word in call.arguments.get("vms", "").replace(",", " ").split()):
        if vmid not in world.vms:
            raise ApiError(500, f"update pools failed: VM {vmid} does not exist")
        call.require(f"/pool/{pool.poolid}", "Pool.Allocate")
        current = world.access.pools_of.get(vmid)
        if call.arguments.get("delete"):
            if current != pool.poolid:
                raise ApiError(500, f"update pools failed: VM {vmid} is not a pool member")
            pool.vmids.discard(vmid)
            del world.access.pools_of[vmid]
            continue
        if current == pool.poolid:
            raise ApiError(500, f"update pools failed: VM {vmid} is already a pool member")
        if current is not None:
            if not call.arguments.get("allow-move"):
                raise ApiError(
                    500,
                    f"update pools failed: VM {vmid} belongs already to pool '{current}'"
                    " and no 'allow-move' flag set",
                )
            world.pools[current].vmids.discard(vmid)
        join_pool(world, vmid, pool.poolid)
    if "comment" in call.arguments:
        pool.comment = str(call.arguments["comment"])
    world.changed("pool changed", pool.poolid)


@answers("DELETE /pools")
@answers("DELETE /pools/{poolid}")
def remove_pool(call: Call) -> None:
    pool = _pool(call)
    if pool.vmids:
        raise ApiError(500, f"delete pool failed: pool '{pool.poolid}' is not empty")
    del call.world.pools[pool.poolid]
    call.world.changed("pool removed", pool.poolid)


# --- high availability


def _sid(call: Call) -> str:
    sid = str(call.arguments["sid"])
    return sid if ":" in sid else f"vm:{sid}"


def _resource(call: Call) -> dict[str, Any]:
    found = call.world.ha_resources.get(_sid(call))
    if found is None:
        raise ApiError(500, f"no such resource '{_sid(call)}'")
    return found


def _check_group(call: Call) -> None:
    group = call.arguments.get("group")
    if group is None:
        return
    if call.world.major >= 9:
        raise ApiError(500, "invalid parameter 'group': ha groups have been migrated to rules")
    if group not in call.world.ha_groups:
        raise ApiError(500, f"group '{group}' does not exist")


@answers(f"GET {_HA}/resources")
def ha_resources(call: Call) -> list[dict[str, Any]]:
    return list(call.world.ha_resources.values())


@answers(f"GET {_HA}/resources/{{sid}}")
def ha_resource(call: Call) -> dict[str, Any]:
    return _resource(call)


@answers(f"POST {_HA}/resources")
def add_ha_resource(call: Call) -> None:
    """Put a VM under HA; it is started at once unless another state is asked for."""
    world, sid = call.world, _sid(call)
    vm = world.vms.get(int(sid.partition(":")[2]))
    if vm is None:
        raise ApiError(500, f"unable to add resource '{sid}': no such resource")
    if sid in world.ha_resources:
        raise ApiError(500, f"resource ID '{sid}' already defined")
    _check_group(call)
    known = {key: value for key, value in call.arguments.items() if key not in ("sid", "type")}
    world.ha_resources[sid] = {
        "sid": sid,
        "type": "vm",
        "state": "started",
        "max_restart": 1,
        "max_relocate": 1,
    } | known
    world.changed("ha resource made", sid)
    follow(world, vm, world.ha_resources[sid]["state"])


@answers(f"PUT {_HA}/resources/{{sid}}")
def change_ha_resource(call: Call) -> None:
    found = _resource(call)
    _check_group(call)
    for key in call.arguments.get("delete", "").replace(",", " ").split():
        found.pop(key, None)
    found |= {key: value for key, value in call.arguments.items() if key not in ("sid", "delete", "digest")}
    call.world.changed("ha resource changed", found["sid"])
    follow(call.world, call.world.vms[int(found["sid"].partition(":")[2])], found["state"])


@answers(f"DELETE {_HA}/resources/{{sid}}")
def remove_ha_resource(call: Call) -> None:
    del call.world.ha_resources[_resource(call)["sid"]]
    call.world.changed("ha resource removed", _sid(call))


@answers(f"GET {_HA}/groups")
def ha_groups(call: Call) -> list[dict[str, Any]]:
    return list(call.world.ha_groups.values())


@answers(f"POST {_HA}/groups")
def add_ha_group(call: Call) -> None:
    name = str(call.arguments["group"])
    if call.world.major >= 9:
        raise ApiError(500, "cannot create group: ha groups have been migrated to rules")
    if name in call.world.ha_groups:
        raise ApiError(500, f"create ha group failed: group ID '{name}' already defined")
    call.world.ha_groups[name] = {"type": "group"} | dict(call.arguments)


@answers(f"DELETE {_HA}/groups/{{group}}")
def remove_ha_group(call: Call) -> None:
    name = str(call.arguments["group"])
    users = [sid for sid, found in call.world.ha_resources.items() if found.get("group") == name]
    if users:
        raise ApiError(500, f"ha group is used by service '{users[0]}'")
    if call.world.ha_groups.pop(name, None) is None:
        raise ApiError(500, f"delete group failed: no such group '{name}'")


@answers(f"GET {_HA}/rules")
def ha_rules(call: Call) -> list[dict[str, Any]]:
    return list(call.world.ha_rules.values())


@answers(f"POST {_HA}/rules")
def add_ha_rule(call: Call) -> None:
    """PVE 9: keep resources together, apart, or on some nodes."""
    name = str(call.arguments["rule"])
    if name in call.world.ha_rules:
        raise ApiError(500, f"create ha rule failed: rule ID '{name}' already defined")
    missing = [sid for sid in call.arguments["resources"].split(",") if sid not in call.world.ha_resources]
    if missing:
        raise ApiError(500, f"create ha rule failed: resource '{missing[0]}' is not managed by HA")
    call.world.ha_rules[name] = dict(call.arguments)


@answers(f"DELETE {_HA}/rules/{{rule}}")
def remove_ha_rule(call: Call) -> None:
    if call.world.ha_rules.pop(str(call.arguments["rule"]), None) is None:
        raise ApiError(500, f"delete ha rule failed: no such ha rule '{call.arguments['rule']}'")
