"""Applying an add-on: exactly what differs, told apart from what does not."""

from __future__ import annotations

import base64
import difflib
import secrets as random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from lab.addons.model import Secret
from lab.cluster import webhooks
from lab.cluster.api import Api, ApiError, Object, Unavailable
from lab.errors import DeadlineError
from lab.waits import NotYet, wait_for

COMPARE_SECONDS = 20
"""How long a comparison waits for what does not serve. The API server gives up one call of a webhook after
10 s (timeoutSeconds' default), so this is a second chance, and a command that only looks does not hang."""


@dataclass(frozen=True)
class ObjectChange:
    """One object that is not as it should be; `before` is empty for a new one."""

    name: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """What changes, as a unified diff."""
        pair = (self.before.splitlines(keepends=True), self.after.splitlines(keepends=True))
        return "".join(difflib.unified_diff(*pair, self.name, self.name))


def changed(api: Api, item: Object) -> ObjectChange | None:
    """What applying `item` would change; None when nothing. Changes nothing."""
    try:
        path = api.path(item)
    except NotYet:
        return ObjectChange(title(item), "", as_text(item))
    live = api.get(path)
    if live is None:
        return ObjectChange(title(item), "", as_text(item))
    try:
        wanted = wait_for(
            f"dry run of {title(item)}",
            lambda: _dry_run(api, item),
            seconds=COMPARE_SECONDS,
            interval=0.5,
            next_step="invoke build mends hosts before add-ons; invoke status",
        )
    except ApiError as error:
        if error.status == 404:  # its namespace does not exist yet
            return ObjectChange(title(item), "", as_text(item))
        raise
    before, after = as_text(live), as_text(wanted)
    return None if before == after else ObjectChange(title(item), before, after)


def _dry_run(api: Api, item: Object) -> Object:
    try:
        return api.apply(item, dry_run=True)
    except ApiError as error:
        if webhooks.not_yet(error.message):
            raise NotYet(error.message) from error
        raise


def apply(api: Api, item: Object, note: Callable[[str], None], *, seconds: float = 120) -> bool:
    """Apply one object; True when the API server took a change.

    Waits for a kind that its definition has just introduced and for a webhook that does not serve yet. Raises
    `DeadlineError` with what stands behind a webhook that never serves.
    """

    def probe() -> bool:
        try:
            before = api.get(api.path(item))
            after = api.apply(item)
        except (ApiError, Unavailable) as error:
            # 404: the namespace or the kind was made a moment ago and is not served everywhere yet
            gone = isinstance(error, Unavailable) or error.status in (404, 429, 503)
            if gone or webhooks.not_yet(error.message):
                note(error.message)
                raise NotYet(error.message) from error
            raise
        # not by resourceVersion: a status that moves between the two requests changes it as well
        return before is None or as_text(before) != as_text(after)

    try:
        return wait_for(f"apply {title(item)}", probe, seconds=seconds, interval=0.3)
    except DeadlineError as error:
        last = error.last + webhooks.evidence(api, error.last)
        raise DeadlineError(error.subject, error.seconds, last, next_step=error.next_step) from error


def ensure_secret(api: Api, wanted: Secret) -> bool:
    """Make the random secret of an add-on when it is missing; its value is never known here afterwards."""
    path = f"/api/v1/namespaces/{wanted.namespace}/secrets"
    if api.get(f"{path}/{wanted.name}") is not None:
        return False
    value = base64.b64encode(random.token_bytes(128)).decode()
    item = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "stringData": {wanted.key: value},
    }
    api.apply(item)
    return True


def title(item: Object) -> str:
    """kind/namespace/name of an object."""
    meta = item["metadata"]
    return "/".join(part for part in (item["kind"], meta.get("namespace", ""), meta["name"]) if part)


def as_text(item: Object) -> str:
    """An object as YAML without what the server keeps for itself."""
    text: str = yaml.dump(_wanted_part(item), Dumper=Readable, sort_keys=True)
    return text


class Readable(yaml.SafeDumper):  # type: ignore[misc] # PyYAML has no types
    """Text of several lines as such, so that a diff shows the line that changed."""


def _as_lines(dumper: Readable, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Readable.add_representer(str, _as_lines)


def _wanted_part(item: Object) -> Any:
    hidden = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
    meta = {key: value for key, value in item["metadata"].items() if key not in hidden}
    return {key: value for key, value in item.items() if key != "status"} | {"metadata": meta}
