"""The cluster itself: version, nodes, networks, resources, tasks, rights, log-in."""

from __future__ import annotations

from typing import Any

from tests.doubles.pve.answers import ApiError, forbidden, wrong
from tests.doubles.pve.qemu import summary
from tests.doubles.pve.tasks import Task
from tests.doubles.pve.world import VERSIONS, Call, answers

KNOWN_PATHS = ("/", "/access", "/nodes", "/pool", "/sdn", "/storage", "/vms")
_TASK = "/nodes/{node}/tasks/{upid}"


@answers("GET /version")
def version(call: Call) -> dict[str, str]:
    return dict(VERSIONS[call.world.major])


@answers("GET /nodes/{node}/version")
def node_version(call: Call) -> dict[str, str]:
    return dict(VERSIONS[call.world.major]) if call.node else {}


@answers("POST /access/ticket")
def log_in(call: Call) -> dict[str, str]:
    user = str(call.arguments["username"])
    user = user if "@" in user else f"{user}@{call.arguments.get('realm', 'pam')}"
    return call.world.access.log_in(user, str(call.arguments["password"]))


@answers("GET /access/permissions")
def permissions(call: Call) -> dict[str, dict[str, int]]:
    """The caller's rights by path: 1 for those that pass on to what lies below."""
    access, caller = call.world.access, call.caller
    asked = str(call.arguments.get("userid", caller))
    if asked != str(caller) and not call.allows("/access", "Sys.Audit"):
        raise forbidden("/access", "Sys.Audit")
    wanted = call.arguments.get("path")
    paths = [str(wanted)] if wanted else sorted({*KNOWN_PATHS, *(entry.path for entry in access.acl)})
    found = {path: access.rights(caller, path) for path in paths}
    return {
        path: {name: int(passed) for name, passed in held.items()}
        for path, held in found.items()
        if held or wanted
    }


@answers("GET /access/roles")
def roles(call: Call) -> list[dict[str, Any]]:
    return [
        {"roleid": name, "privs": ",".join(sorted(held))} for name, held in call.world.access.roles.items()
    ]


@answers("POST /access/roles")
def add_role(call: Call) -> None:
    wanted = call.arguments.get("privs", "").replace(",", " ").split()
    call.world.access.add_role(str(call.arguments["roleid"]), wanted)


@answers("GET /access/acl")
def acl(call: Call) -> list[dict[str, Any]]:
    """Lines on paths where the caller may change permissions; others see nothing."""
    return [
        {
            "path": entry.path,
            "ugid": entry.who,
            "roleid": entry.role,
            "propagate": int(entry.propagate),
            "type": "token" if "!" in entry.who else "user",
        }
        for entry in call.world.access.acl
        if call.allows(entry.path, "Permissions.Modify")
    ]


@answers("GET /cluster/nextid")
def next_id(call: Call) -> str:
    """The first free id, or the one asked for. It is not reserved."""
    wanted = call.arguments.get("vmid")
    if wanted is None:
        return str(next(vmid for vmid in range(100, 10**9) if vmid not in call.world.vms))
    if wanted in call.world.vms:
        raise wrong("vmid", f"VM {wanted} already exists")
    return str(wanted)


@answers("GET /cluster/status")
def cluster_status(call: Call) -> list[dict[str, Any]]:
    nodes = call.world.nodes.values()
    found: list[dict[str, Any]] = [
        {"type": "node", "id": f"node/{node.name}", "name": node.name, "online": int(not node.down)}
        for node in nodes
    ]
    online = sum(not node.down for node in nodes)
    if len(found) > 1:
        found.append(
            {
                "type": "cluster",
                "name": "double",
                "nodes": len(found),
                "quorate": int(online * 2 > len(found)),
            }
        )
    return found


@answers("GET /cluster/resources")
def resources(call: Call) -> list[dict[str, Any]]:
    """VMs, nodes and storages that the caller may see, of all nodes."""
    world, kind = call.world, call.arguments.get("type")
    found: list[dict[str, Any]] = []
    if kind in (None, "vm"):
        for vm in world.vms.values():
            if call.allows(f"/vms/{vm.vmid}", "VM.Audit"):
                pool = world.access.pools_of.get(vm.vmid)
                line = {"id": f"qemu/{vm.vmid}", "type": "qemu", "node": vm.node, "template": 0}
                line |= {"pool": pool} if pool else {}
                line |= {"hastate": "started"} if f"vm:{vm.vmid}" in world.ha_resources else {}
                found.append(line | summary(world, vm) | {"maxcpu": summary(world, vm)["cpus"]})
    if kind in (None, "node"):
        found += [{"id": f"node/{line['node']}", "type": "node"} | line for line in nodes(call)]
    if kind in (None, "storage"):
        found += [
            {
                "id": f"storage/{node}/{storage.name}",
                "type": "storage",
                "node": node,
                "storage": storage.name,
                "plugintype": storage.kind,
                "content": ",".join(sorted(storage.content)),
                "shared": int(storage.shared),
                "disk": storage.used(node),
                "maxdisk": storage.total,
                "status": "available",
            }
            for node in world.nodes
            for storage in world.storages.values()
            if storage.usable_on(node)
            and call.allows(
                f"/storage/{storage.name}", "Datastore.Audit", "Datastore.AllocateSpace", any_of=True
            )
        ]
    return found


@answers("GET /nodes")
def nodes(call: Call) -> list[dict[str, Any]]:
    """All nodes; what they have only for those who may see it."""
    found = []
    for node in call.world.nodes.values():
        line: dict[str, Any] = {"node": node.name, "status": "offline" if node.down else "online"}
        if call.allows(f"/nodes/{node.name}", "Sys.Audit") and not node.down:
            line |= {
                "maxcpu": node.cpus,
                "maxmem": node.memory,
                "mem": _memory(call, node.name),
                "uptime": 1_000_000,
            }
        found.append(line)
    return found


def _memory(call: Call, node: str) -> int:
    return sum(
        int(vm.running.get("memory", "512")) * 1024**2
        for vm in call.world.vms.values()
        if vm.node == node and vm.status == "running"
    )


@answers("GET /nodes/{node}/status")
def node_status(call: Call) -> dict[str, Any]:
    node = call.node
    used, told = _memory(call, node.name), VERSIONS[call.world.major]
    return {
        "pveversion": f"pve-manager/{told['version']}/{told['repoid']}",
        "cpuinfo": {"cpus": node.cpus, "cores": node.cpus, "sockets": 1},
        "memory": {"total": node.memory, "used": used, "free": node.memory - used},
        "uptime": 1_000_000,
    }


@answers("GET /nodes/{node}/network")
def network(call: Call) -> list[dict[str, Any]]:
    """Bridges the caller may use, and the card under them."""
    kind = call.arguments.get("type")
    found = [
        {"iface": name, "type": "bridge", "active": 1, "autostart": 1}
        | ({"bridge_vlan_aware": 1} if aware else {})
        for name, aware in call.node.bridges.items()
        if call.allows(f"/sdn/zones/localnetwork/{name}", "SDN.Audit", "SDN.Use", any_of=True)
        or call.allows(f"/nodes/{call.node.name}", "Sys.Audit")
    ]
    found += [{"iface": "eno1", "type": "eth", "active": 1, "exists": 1}] if kind in (None, "eth") else []
    bridges = ("bridge", "any_bridge", "any_local_bridge")
    return [
        line
        for line in found
        if kind is None or line["type"] == kind or (line["type"], kind in bridges) == ("bridge", True)
    ]


@answers("GET /nodes/{node}/network/{iface}")
def interface(call: Call) -> dict[str, Any]:
    name = str(call.arguments["iface"])
    if name not in call.node.bridges:
        raise wrong("iface", "interface does not exist")
    return {"type": "bridge", "active": 1} | ({"bridge_vlan_aware": 1} if call.node.bridges[name] else {})


@answers("GET /nodes/{node}/tasks")
def tasks(call: Call) -> list[dict[str, Any]]:
    """Tasks of a node, newest first: the caller's own, or all for one who may see them."""
    all_of_them = call.allows(f"/nodes/{call.node.name}", "Sys.Audit")
    vmid, kind, source = (call.arguments.get(key) for key in ("vmid", "typefilter", "source"))
    found = []
    for task in sorted(call.world.tasks.all.values(), key=lambda task: -task.started):
        if task.node != call.node.name or not (all_of_them or task.user == str(call.caller)):
            continue
        if vmid not in (None, int(task.id) if task.id.isdigit() else -1) or kind not in (None, task.kind):
            continue
        if (source in (None, "archive") and task.running) or (source == "active" and not task.running):
            continue
        if call.arguments.get("errors") and task.exit_status == "OK":
            continue
        line = task.status()
        line["status"] = line.pop("exitstatus", "RUNNING")
        found.append(line | ({"endtime": int(task.ended)} if task.ended is not None else {}))
    start = call.arguments.get("start", 0)
    return found[start : start + call.arguments.get("limit", 50)]


def _task(call: Call) -> Task:
    task = call.world.tasks.get(str(call.arguments["upid"]))
    if task.node != call.node.name:
        raise wrong("upid", "no such task")
    if task.user != str(call.caller):
        call.require(f"/nodes/{task.node}", "Sys.Audit")
    return task


@answers(f"GET {_TASK}/status")
def task_status(call: Call) -> dict[str, Any]:
    return _task(call).status()


@answers(f"GET {_TASK}/log")
def task_log(call: Call) -> list[dict[str, Any]]:
    """Lines of a task's log from `start` on, 50 if no limit is given."""
    start, limit = call.arguments.get("start", 0), call.arguments.get("limit", 50)
    lines = _task(call).log or ["no content"]
    return [{"n": number + 1, "t": line} for number, line in enumerate(lines)][start : start + limit]


@answers(f"DELETE {_TASK}")
def stop_task(call: Call) -> None:
    """End a running task; what it would have done does not happen."""
    task = _task(call)
    if not task.running:
        raise ApiError(500, "unable to kill worker")
    call.world.tasks.abort(task)
