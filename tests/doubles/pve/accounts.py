"""Log-in, and what the caller may do."""

from __future__ import annotations

from typing import Any

from tests.doubles.pve.answers import forbidden
from tests.doubles.pve.world import Call, answers

KNOWN_PATHS = ("/", "/access", "/nodes", "/pool", "/sdn", "/storage", "/vms")


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
