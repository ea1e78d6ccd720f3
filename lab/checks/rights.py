"""Who may do what to the platform and was given it by nobody: roles and bindings (P2-13)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from lab.checks.admission import API_SERVICES, MANAGED
from lab.checks.declared import Declared, is_kubernetes, others
from lab.checks.words import cut
from lab.cluster.discovery import Resource
from lab.objects import Object

RBAC = ("rbac.authorization.k8s.io", "v1")
ROLES = (
    Resource(*RBAC, "ClusterRole", "clusterroles", False),
    Resource(*RBAC, "Role", "roles", True),
)
EVERYWHERE = Resource(*RBAC, "ClusterRoleBinding", "clusterrolebindings", False)
INSIDE = Resource(*RBAC, "RoleBinding", "rolebindings", True)
NAMELESS = ("system:anonymous", "system:unauthenticated")
"""Whoever reaches the API without saying who it is: a user, and its group."""

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
HARMLESS = ("events", "tokenreviews", "subjectaccessreviews", "localsubjectaccessreviews")
"""What every program that serves others writes, and from which nobody gets any power."""
READS = {
    "secrets": "reads all secrets",
    "nodes/proxy": "commands the kubelets",
    "pods/exec": "runs commands in all pods",
    "pods/attach": "takes over the input of all pods",
}
"""What a right to read is enough for (Kubernetes' RBAC good practices)."""
SPECIAL = {
    "escalate": "gives itself rights that it has not",
    "bind": "gives anybody's rights to anybody",
    "impersonate": "acts as others",
    "approve": "approves certificates",
    "sign": "signs certificates",
}
SAYS = 3
"""Powers that a line tells; the others are counted."""


def beyond_what_is_declared(declared: Declared) -> list[str]:
    """A line for each binding that gives somebody power over the platform, or anything to whoever has no
    name, and for each role or binding of Kubernetes' own that somebody has edited."""
    roles = {
        (kind.kind, item["metadata"].get("namespace", ""), item["metadata"]["name"]): item.get("rules") or []
        for kind in ROLES
        for item in declared.items(kind)
    }
    apis = declared.items(API_SERVICES)
    # groups that API servers serve by themselves; definitions of others' kinds are others' business
    own = {
        item["spec"].get("group", "")
        for item in apis
        if (item["metadata"].get("labels") or {}).get(MANAGED) == "onstart"
    }
    groups = own | declared.groups
    found = [line for kind in (*ROLES, EVERYWHERE, INSIDE) for line in _edited(declared, kind)]
    for kind in (EVERYWHERE, INSIDE):
        for name, item in declared.strange(kind):
            if not is_kubernetes(item["metadata"]):
                space, role = item["metadata"].get("namespace", ""), item["roleRef"]
                at = space if role["kind"] == "Role" else ""
                rules = roles.get((role["kind"], at, role["name"]), [])
                told = _told(declared, space, _subjects(item), rules, groups)
                if told:
                    found.append(
                        f"{name}: gives {', '.join(_subjects(item))} {role['kind']} {role['name']}: {told}"
                    )
    return found


def _told(
    declared: Declared, space: str, whom: list[str], rules: Iterable[Object], groups: Iterable[str]
) -> str:
    """What is wrong with a binding of these rules in a namespace ("": everywhere), "" for nothing."""
    held = list(powers(rules, groups))
    nameless = [who for who in whom if who.partition(" ")[2] in NAMELESS]
    if whom and rules and space in declared.spaces:
        return f"in {space}, {_listed(held) or 'reads objects of the platform'}"
    if held and not space and whom:
        return _listed(held)
    return "whoever has no name is given something" if nameless and rules else ""


def powers(rules: Iterable[Object], groups: Iterable[str]) -> Iterator[str]:
    """What rules of a role let somebody do with the platform; `groups` are the API groups of its kinds."""
    ours, told = set(groups), set()
    for rule in rules:
        verbs, single = set(rule.get("verbs") or ()), bool(rule.get("resourceNames"))
        for group, resource in product(rule.get("apiGroups") or (), rule.get("resources") or ()):
            for said in _powers(verbs, group, resource, single=single, ours=ours):
                if said not in told:
                    told.add(said)
                    yield said


def _powers(verbs: set[str], group: str, resource: str, *, single: bool, ours: set[str]) -> Iterator[str]:
    if group == "*" and resource == "*" and "*" in verbs:
        yield "does everything with everything"
        return
    yield from (f"{SPECIAL[verb]} ({verb} {resource})" for verb in sorted(verbs & set(SPECIAL)))
    plain = resource.partition("/")[0]
    # a controller tells of its own work in the status of what it serves, and takes no one's place so
    tells = resource.endswith("/status") and plain not in ("nodes", "pods", "services")
    if group in ours | {"*"} and verbs & (WRITES | {"*"}) and plain not in HARMLESS and not tells:
        yield f"writes {resource}{f' of {group}' if group else ''}"
    if group in ("", "*") and not single and verbs & {"get", "list", "watch", "*"}:
        yield from (says for what, says in READS.items() if resource in (what, "*"))


def _listed(held: list[str]) -> str:
    more = f" and {len(held) - SAYS} more" if len(held) > SAYS else ""
    return cut(", ".join(held[:SAYS]), 160) + more


def _subjects(binding: Object) -> list[str]:
    return [
        f"{one['kind']} {one['namespace']}/{one['name']}"
        if one.get("namespace")
        else f"{one['kind']} {one['name']}"
        for one in binding.get("subjects") or ()
    ]


def _edited(declared: Declared, kind: Resource) -> Iterator[str]:
    """Roles and bindings of API servers, controllers and kubeadm in which somebody else has written."""
    for name, item in declared.strange(kind):
        strange = others(item["metadata"])
        if strange and is_kubernetes(item["metadata"]):
            whom = f"; it is for {', '.join(_subjects(item))}" if "roleRef" in item else ""
            yield f"{name}: is of Kubernetes' own, and was written by {strange}{whom}"
