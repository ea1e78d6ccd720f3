"""Secrets that hold a password of people's: what the file in the lab's data folder says, the lab has."""

from __future__ import annotations

from lab.addons.mark import marked
from lab.addons.model import AddOn, Secret
from lab.cluster import secrets
from lab.cluster.api import FIELD_MANAGER, Api
from lab.cluster.apply import ObjectChange
from lab.cluster.stateful import take_away
from lab.objects import Object, title
from lab.passwords import Passwords


def password_changes(api: Api, wanted: Secret, passwords: Passwords) -> list[ObjectChange]:
    """What `ensure_password` would do, and nothing of the password itself. Changes nothing.

    Raises `FailedError` for a file of a password that cannot be one.
    """
    live, kept = _living(api, wanted), passwords.kept(wanted.namespace, wanted.name)
    found: list[ObjectChange] = []
    if not live or kept not in ("", live):
        after = f"password kept in {passwords.file(wanted.namespace, wanted.name)}\n"
        before = "password that is another\n" if live else ""
        found.append(ObjectChange(title(secrets.secret(wanted, {})), before, after))
    names = [f"Pod/{wanted.namespace}/{pod['metadata']['name']}" for pod in _old(api, wanted, bool(found))]
    return found + [ObjectChange(name, "", "", "which was started with another password") for name in names]


def ensure_password(api: Api, addon: AddOn, wanted: Secret, passwords: Passwords) -> int:
    """Make the Secret of a kept password, and keep that of a Secret; how many objects were changed.

    A password is made where there is none at all. Pods that were started with another one are replaced, since
    programs read theirs when they start.
    """
    changes = password_changes(api, wanted, passwords)
    renewed = any(not change.replaced for change in changes)
    old = _old(api, wanted, renewed)
    if renewed:
        value = passwords.make(wanted.namespace, wanted.name)
        api.apply(marked(secrets.secret(wanted, {wanted.key: value}), addon))
    else:
        passwords.keep(wanted.namespace, wanted.name, _living(api, wanted))
    for pod in old:
        take_away(api, pod)
    return len(changes)


def password(api: Api, wanted: Secret, passwords: Passwords) -> str:
    """The password by which people log in, from the data folder, else from the lab; "" if there is none."""
    kept = passwords.kept(wanted.namespace, wanted.name)
    live = "" if kept else _living(api, wanted)
    return passwords.keep(wanted.namespace, wanted.name, live) if live else kept


def _living(api: Api, wanted: Secret) -> str:
    return secrets.held(api.get(secrets.path(wanted)), wanted.key)


def _old(api: Api, wanted: Secret, renewed: bool) -> list[Object]:
    """Pods that have read another password: all, if the Secret is renewed now, else those that are older than
    what it holds. So a run that was cut after the Secret is gone on with by the next."""
    meta = (api.get(secrets.path(wanted)) or {}).get("metadata") or {}
    times = [entry.get("time", "") for entry in meta.get("managedFields") or () if _ours(entry)]
    since = max(times, default="")
    return [
        pod
        for pod in api.items(f"/api/v1/namespaces/{wanted.namespace}/pods")
        if _reads(pod, wanted) and (renewed or pod["metadata"].get("creationTimestamp", since) < since)
    ]


def _ours(entry: Object) -> bool:
    return entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"


def _reads(pod: Object, wanted: Secret) -> bool:
    """Whether a Secret is among a pod's volumes."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return any((volume.get("secret") or {}).get("secretName") == wanted.name for volume in volumes)
