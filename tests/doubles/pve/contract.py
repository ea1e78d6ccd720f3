"""The part of the API this double offers: methods, paths, parameters, permissions; our own words.

`Parameter` and the permission lists say what PVE's API viewer says of the same endpoint; a test compares the
two where the viewer's data is at hand. Only what is listed here exists: everything else is refused.
"""

from __future__ import annotations

from tests.doubles.pve import contract_vm as vm
from tests.doubles.pve.endpoint import Endpoint, Permission, perm
from tests.doubles.pve.parameters import boolean, integer, text

NODE = {"node": text("pve-node", needed=True)}
VM = NODE | {"vmid": integer("pve-vmid", 100, 999999999, needed=True)}
STORAGE = NODE | {"storage": text("pve-storage-id", needed=True)}
TASK = NODE | {"upid": text(needed=True)}
SKIPLOCK = {"skiplock": boolean()}
_FETCH: Permission = [
    "or",
    perm("/", "Sys.Audit", "Sys.Modify"),
    perm("/nodes/{node}", "Sys.AccessNetwork"),
]
_ANY_CONFIG = perm(
    "/vms/{vmid}",
    *(
        f"VM.Config.{kind}"
        for kind in ("Disk", "CDROM", "CPU", "Memory", "Network", "HWType", "Options", "Cloudinit")
    ),
    any_of=True,
)
_AUDIT, _POWER = perm("/vms/{vmid}", "VM.Audit"), perm("/vms/{vmid}", "VM.PowerMgmt")
_CONTENT = text("pve-storage-content", choices=("iso", "vztmpl", "import"), needed=True)
_CHECKSUM = {
    "checksum": text(requires="checksum-algorithm"),
    "checksum-algorithm": text(
        choices=("md5", "sha1", "sha224", "sha256", "sha384", "sha512"), requires="checksum"
    ),
}
_HA = {
    "comment": text(longest=4096),
    "group": text("pve-configid"),
    "max_relocate": integer(least=0),
    "max_restart": integer(least=0),
    "sid": text("pve-ha-resource-or-vm-id", needed=True),
    "state": text(choices=("started", "stopped", "enabled", "disabled", "ignored")),
}
_POOL = {"poolid": text("pve-poolid", needed=True)}
_POOL_CHANGE = _POOL | {
    "allow-move": boolean(),
    "comment": text(),
    "delete": boolean(),
    "storage": text("pve-storage-id-list"),
    "vms": text("pve-vmid-list"),
}
_POOL_AUDIT, _POOL_ALLOCATE = perm("/pool/{poolid}", "Pool.Audit"), perm("/pool/{poolid}", "Pool.Allocate")
_SYS_AUDIT, _SYS_CONSOLE = perm("/", "Sys.Audit"), perm("/", "Sys.Console")
_STORAGE_LOOK = perm("/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace", any_of=True)
_VOLUME = NODE | {"storage": text("pve-storage-id"), "volume": text(needed=True)}
_QEMU = "/nodes/{node}/qemu/{vmid}"
_RULE = {
    "affinity": text(choices=("positive", "negative")),
    "comment": text(longest=4096),
    "nodes": text("pve-ha-group-node-list"),
    "resources": text("pve-ha-resource-id-list", needed=True),
    "rule": text("pve-configid", needed=True),
    "strict": boolean(),
    "type": text(choices=("node-affinity", "resource-affinity"), needed=True),
}

ENDPOINTS: dict[str, Endpoint] = {
    "GET /version": Endpoint(),
    "POST /access/ticket": Endpoint(
        parameters={
            "new-format": boolean(),
            "password": text(needed=True),
            "realm": text("pve-realm", longest=32),
            "username": text(longest=64, needed=True),
        },
        allows_token=False,
    ),
    "GET /access/permissions": Endpoint(parameters={"path": text(), "userid": text()}),
    "GET /access/roles": Endpoint(),
    "GET /access/acl": Endpoint(),
    "POST /access/roles": Endpoint(
        perm("/access", "Sys.Modify"),
        {"privs": text("pve-priv-list"), "roleid": text("pve-roleid", needed=True)},
    ),
    "GET /cluster/nextid": Endpoint(parameters={"vmid": integer("pve-vmid", 100, 999999999)}),
    "GET /cluster/resources": Endpoint(parameters={"type": text(choices=("vm", "storage", "node", "sdn"))}),
    "GET /cluster/status": Endpoint(_SYS_AUDIT),
    "GET /cluster/ha/resources": Endpoint(_SYS_AUDIT, {"type": text(choices=("ct", "vm"))}),
    "POST /cluster/ha/resources": Endpoint(_SYS_CONSOLE, _HA | {"type": text(choices=("ct", "vm"))}),
    "GET /cluster/ha/resources/{sid}": Endpoint(_SYS_AUDIT, {"sid": _HA["sid"]}),
    "PUT /cluster/ha/resources/{sid}": Endpoint(
        _SYS_CONSOLE, _HA | {"delete": text("pve-configid-list", longest=4096), "digest": text(longest=64)}
    ),
    "DELETE /cluster/ha/resources/{sid}": Endpoint(_SYS_CONSOLE, {"sid": _HA["sid"]}),
    "GET /cluster/ha/groups": Endpoint(_SYS_AUDIT),
    "POST /cluster/ha/groups": Endpoint(
        _SYS_CONSOLE,
        {
            "comment": text(longest=4096),
            "group": text("pve-configid", needed=True),
            "nodes": text("pve-ha-group-node-list", needed=True),
            "nofailback": boolean(),
            "restricted": boolean(),
            "type": text(choices=("group",)),
        },
    ),
    "DELETE /cluster/ha/groups/{group}": Endpoint(_SYS_CONSOLE, {"group": text("pve-configid", needed=True)}),
    "GET /cluster/ha/rules": Endpoint(_SYS_AUDIT, since=9),
    "POST /cluster/ha/rules": Endpoint(_SYS_CONSOLE, _RULE, since=9),
    "DELETE /cluster/ha/rules/{rule}": Endpoint(_SYS_CONSOLE, {"rule": _RULE["rule"]}, since=9),
    "GET /nodes": Endpoint(),
    "GET /nodes/{node}/status": Endpoint(perm("/nodes/{node}", "Sys.Audit"), NODE),
    "GET /nodes/{node}/version": Endpoint(parameters=NODE),
    "GET /nodes/{node}/network": Endpoint(
        parameters=NODE
        | {
            "type": text(
                choices=("bridge", "bond", "eth", "vlan", "OVSBridge", "any_bridge", "any_local_bridge")
            )
        }
    ),
    "GET /nodes/{node}/network/{iface}": Endpoint(
        perm("/nodes/{node}", "Sys.Audit"),
        NODE | {"iface": text("pve-iface", shortest=2, longest=20, needed=True)},
    ),
    "GET /nodes/{node}/qemu": Endpoint(parameters=NODE | {"full": boolean()}),
    "POST /nodes/{node}/qemu": Endpoint(parameters=VM | vm.CREATE),
    f"DELETE {_QEMU}": Endpoint(
        perm("/vms/{vmid}", "VM.Allocate"),
        VM | SKIPLOCK | {"destroy-unreferenced-disks": boolean(), "purge": boolean()},
    ),
    f"GET {_QEMU}/config": Endpoint(_AUDIT, VM | {"current": boolean()}),
    f"PUT {_QEMU}/config": Endpoint(_ANY_CONFIG, VM | vm.CHANGE),
    f"POST {_QEMU}/config": Endpoint(
        _ANY_CONFIG, VM | vm.CHANGE | {"background_delay": integer(least=1, most=30)} | vm.IMPORT
    ),
    f"GET {_QEMU}/pending": Endpoint(_AUDIT, VM),
    f"PUT {_QEMU}/resize": Endpoint(perm("/vms/{vmid}", "VM.Config.Disk"), VM | SKIPLOCK | vm.RESIZE),
    f"POST {_QEMU}/template": Endpoint(
        perm("/vms/{vmid}", "VM.Allocate"), VM | {"disk": text(choices=vm.DISKS)}
    ),
    f"POST {_QEMU}/clone": Endpoint(
        [
            "and",
            perm("/vms/{vmid}", "VM.Clone"),
            [
                "or",
                perm("/vms/{newid}", "VM.Allocate"),
                [*perm("/pool/{pool}", "VM.Allocate"), "require_param", "pool"],
            ],
        ],
        VM | vm.CLONE,
    ),
    f"GET {_QEMU}/cloudinit": Endpoint(_AUDIT, VM),
    f"PUT {_QEMU}/cloudinit": Endpoint(perm("/vms/{vmid}", "VM.Config.Cloudinit"), VM),
    f"GET {_QEMU}/cloudinit/dump": Endpoint(
        _AUDIT, VM | {"type": text(choices=("user", "network", "meta"), needed=True)}
    ),
    f"GET {_QEMU}/status/current": Endpoint(_AUDIT, VM),
    f"POST {_QEMU}/status/start": Endpoint(_POWER, VM | SKIPLOCK | {"timeout": integer(least=0)}),
    f"POST {_QEMU}/status/stop": Endpoint(
        _POWER,
        VM
        | SKIPLOCK
        | {"keepActive": boolean(), "overrule-shutdown": boolean(), "timeout": integer(least=0)},
    ),
    f"POST {_QEMU}/status/shutdown": Endpoint(
        _POWER, VM | SKIPLOCK | {"forceStop": boolean(), "keepActive": boolean(), "timeout": integer(least=0)}
    ),
    f"POST {_QEMU}/status/reboot": Endpoint(_POWER, VM | {"timeout": integer(least=0)}),
    f"POST {_QEMU}/status/reset": Endpoint(_POWER, VM | SKIPLOCK),
    f"POST {_QEMU}/status/suspend": Endpoint(_POWER, VM | SKIPLOCK | {"todisk": boolean()}),
    f"POST {_QEMU}/status/resume": Endpoint(_POWER, VM | SKIPLOCK | {"nocheck": boolean()}),
    f"GET {_QEMU}/agent/network-get-interfaces": Endpoint(perm("/vms/{vmid}", "VM.Monitor"), VM),
    "GET /nodes/{node}/storage": Endpoint(
        parameters=NODE
        | {
            "content": text("pve-storage-content-list"),
            "enabled": boolean(),
            "storage": text("pve-storage-id"),
        }
    ),
    "GET /nodes/{node}/storage/{storage}/status": Endpoint(_STORAGE_LOOK, STORAGE),
    "GET /nodes/{node}/storage/{storage}/content": Endpoint(
        _STORAGE_LOOK,
        STORAGE | {"content": text("pve-storage-content"), "vmid": integer("pve-vmid", 100, 999999999)},
    ),
    "DELETE /nodes/{node}/storage/{storage}/content/{volume}": Endpoint(
        parameters=_VOLUME | {"delay": integer(least=1, most=30)}
    ),
    "POST /nodes/{node}/storage/{storage}/download-url": Endpoint(
        ["and", perm("/storage/{storage}", "Datastore.AllocateTemplate"), _FETCH],
        STORAGE
        | _CHECKSUM
        | {
            "content": _CONTENT,
            "filename": text(longest=255, needed=True),
            "url": text(pattern="https?://.*", needed=True),
            "verify-certificates": boolean(),
        },
    ),
    "POST /nodes/{node}/storage/{storage}/upload": Endpoint(
        perm("/storage/{storage}", "Datastore.AllocateTemplate"),
        STORAGE | _CHECKSUM | {"content": _CONTENT, "filename": text(longest=255, needed=True)},
    ),
    "GET /nodes/{node}/query-url-metadata": Endpoint(
        _FETCH, NODE | {"url": text(pattern="https?://.*", needed=True), "verify-certificates": boolean()}
    ),
    "GET /nodes/{node}/tasks": Endpoint(
        parameters=NODE
        | {
            "errors": boolean(),
            "limit": integer(least=0),
            "source": text(choices=("archive", "active", "all")),
            "start": integer(least=0),
            "typefilter": text(),
            "userfilter": text(),
            "vmid": integer("pve-vmid", 100, 999999999),
        }
    ),
    "GET /nodes/{node}/tasks/{upid}/status": Endpoint(parameters=TASK),
    "GET /nodes/{node}/tasks/{upid}/log": Endpoint(
        parameters=TASK | {"limit": integer(least=0), "start": integer(least=0)}
    ),
    "DELETE /nodes/{node}/tasks/{upid}": Endpoint(parameters=TASK),
    "GET /pools": Endpoint(parameters={"poolid": text("pve-poolid")}),
    "POST /pools": Endpoint(_POOL_ALLOCATE, _POOL | {"comment": text()}),
    "PUT /pools": Endpoint(_POOL_ALLOCATE, _POOL_CHANGE),
    "DELETE /pools": Endpoint(_POOL_ALLOCATE, _POOL),
    "GET /pools/{poolid}": Endpoint(_POOL_AUDIT, _POOL),
    "PUT /pools/{poolid}": Endpoint(_POOL_ALLOCATE, _POOL_CHANGE),
    "DELETE /pools/{poolid}": Endpoint(_POOL_ALLOCATE, _POOL),
    "GET /storage": Endpoint(),
    "GET /storage/{storage}": Endpoint(
        perm("/storage/{storage}", "Datastore.Allocate"), {"storage": text("pve-storage-id", needed=True)}
    ),
}
