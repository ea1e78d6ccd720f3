"""The cluster itself: version, nodes, networks, and all that is in it."""

from __future__ import annotations

from typing import Any

from tests.doubles.pve.answers import wrong
from tests.doubles.pve.qemu import summary
from tests.doubles.pve.world import VERSIONS, Call, World, answers


@answers("GET /version")
def version(call: Call) -> dict[str, str]:
    return dict(VERSIONS[call.world.major])


@answers("GET /nodes/{node}/version")
def node_version(call: Call) -> dict[str, str]:
    return dict(VERSIONS[call.world.major]) if call.node else {}


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
                line = {
                    "id": f"qemu/{vm.vmid}",
                    "type": "qemu",
                    "vmid": vm.vmid,
                    "node": vm.node,
                    "template": 0,
                }
                line |= {"pool": pool} if pool else {}
                line |= {"hastate": "started"} if f"vm:{vm.vmid}" in world.ha_resources else {}
                line |= {key: vm.config[key] for key in ("tags", "lock") if key in vm.config}
                found.append(line | _last_told(world).get(vm.vmid, {"status": "unknown"}))
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


def _last_told(world: World) -> dict[int, dict[str, Any]]:
    """What the nodes last told of their VMs: name and power, but neither lock nor tags, which are files."""
    now = world.clock.now()
    if now - world.broadcast_at >= world.broadcast_seconds:
        world.broadcast_at = now
        world.broadcast = {vm.vmid: summary(world, vm) for vm in world.vms.values()}
        for line in world.broadcast.values():
            line["maxcpu"] = line.pop("cpus")
            line.pop("lock", None)
            line.pop("tags", None)
    return world.broadcast


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
    memory = {"total": node.memory, "used": used, "free": node.memory - used - node.cache}
    # version 9 tells what the kernel calls available (pve-common, ProcFSTools.pm)
    memory |= {"available": node.memory - used} if call.world.major >= 9 else {}
    return {
        "pveversion": f"pve-manager/{told['version']}/{told['repoid']}",
        "cpuinfo": {"cpus": node.cpus, "cores": node.cpus, "sockets": 1},
        "memory": memory,
        "uptime": 1_000_000,
    }


@answers("GET /nodes/{node}/network")
def network(call: Call) -> list[dict[str, Any]]:
    """Bridges the caller may use, and the card under them; with `any_bridge`, VNets as well."""
    kind = call.arguments.get("type")
    found: list[dict[str, Any]] = [
        {"iface": name, "type": "bridge", "active": 1, "autostart": 1}
        | ({"bridge_vlan_aware": 1} if aware else {})
        for name, aware in call.node.bridges.items()
        if _sees(call, "localnetwork", name)
    ]
    if kind == "any_bridge":
        found += [
            {"iface": name, "type": "vnet", "active": "1", "vlanaware": int(vnet.vlan_aware)}
            for name, vnet in call.world.vnets.items()
            if vnet.on(call.node.name) and _sees(call, vnet.zone, name)
        ]
    found += [{"iface": "eno1", "type": "eth", "active": 1, "exists": 1}] if kind in (None, "eth") else []
    bridges = ("bridge", "any_bridge", "any_local_bridge")
    return [
        line
        for line in found
        if kind is None or line["type"] == kind or (line["type"] in ("bridge", "vnet") and kind in bridges)
    ]


def _sees(call: Call, zone: str, bridge: str) -> bool:
    """Whether the caller sees a bridge: by a right on it, or on one of its VLANs (check_sdn_bridge)."""
    path = f"/sdn/zones/{zone}/{bridge}"
    below = {entry.path for entry in call.world.access.acl if entry.path.startswith(f"{path}/")}
    return any(call.allows(place, "SDN.Audit", "SDN.Use", any_of=True) for place in (path, *below))


@answers("GET /nodes/{node}/network/{iface}")
def interface(call: Call) -> dict[str, Any]:
    name = str(call.arguments["iface"])
    if name not in call.node.bridges:
        raise wrong("iface", "interface does not exist")
    return {"type": "bridge", "active": 1} | ({"bridge_vlan_aware": 1} if call.node.bridges[name] else {})
