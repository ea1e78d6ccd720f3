"""Applying an add-on: exactly what differs, told apart from what does not."""

from __future__ import annotations

import base64
import difflib
import secrets as random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from lab.addons.mark import marked
from lab.addons.model import AddOn, Secret
from lab.cluster import webhooks
from lab.cluster.api import FIELD_MANAGER, PASSING, Api, ApiError, Unavailable
from lab.cluster.refused import laid_over, made_anew, owned_by_apply
from lab.cluster.removal import deletion, removed
from lab.errors import DeadlineError
from lab.objects import Object, title
from lab.render.addons import merge
from lab.waits import NotYet, wait_for

COMPARE_SECONDS = 20
"""How long a comparison waits for what does not serve. The API server gives up one call of a webhook after
10 s (timeoutSeconds' default), so this is a second chance, and a command that only looks does not hang."""

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""Annotation in which the API server counts the versions of a DaemonSet's template."""


@dataclass(frozen=True)
class ObjectChange:
    """One object that is not as it should be; `before` is empty for a new one.

    `replaced`: why the living one goes first, and is not changed.
    """

    name: str
    before: str
    after: str
    replaced: str = ""

    @property
    def sentence(self) -> str:
        """What a plan says of it."""
        if self.replaced:
            return f"replace {self.name}, {self.replaced}"
        return f"{'change' if self.before else 'create'} {self.name}"

    @property
    def diff(self) -> str:
        """What changes, as a unified diff."""
        pair = (self.before.splitlines(keepends=True), self.after.splitlines(keepends=True))
        return "".join(difflib.unified_diff(*pair, self.name, self.name))


def changed(api: Api, item: Object) -> ObjectChange | None:
    """What applying `item` would change; None when nothing. Changes nothing."""
    return looked_at(api, item)[0]


def looked_at(api: Api, item: Object) -> tuple[ObjectChange | None, Object | None]:
    """The same, and the living object; None for one that does not exist or is being removed."""
    live, wanted, anew = _asked(api, item, FIELD_MANAGER)
    if live and removed(live):
        live = None  # another one comes when it is gone
    if live and _same(live, wanted):
        return None, live
    replaced = "which the API does not change" if anew and live is not None else ""
    return ObjectChange(title(item), as_text(live) if live else "", as_text(wanted), replaced), live


def compared(api: Api, item: Object, manager: str = FIELD_MANAGER) -> tuple[Object | None, Object]:
    """The living object, and what the API says applying `item` would make of it. Changes nothing.

    None and `item` itself when there is no such object, kind or namespace. For an object that the API does
    not change but that can be made anew, `item` laid over the living one. Raises `DeadlineError` while a
    webhook does not serve.
    """
    live, wanted, _ = _asked(api, item, manager)
    return live, wanted


def _asked(api: Api, item: Object, manager: str) -> tuple[Object | None, Object, bool]:
    """The same, and whether the object is made anew."""
    try:
        live = api.get(api.path(item))
    except NotYet:
        return None, item, False
    if live is None:
        return None, item, False
    try:
        wanted = wait_for(
            f"dry run of {title(item)}",
            lambda: _dry_run(api, item, live, manager),
            seconds=COMPARE_SECONDS,
            interval=0.5,
            next_step="invoke build mends hosts before add-ons; invoke status",
        )
    except ApiError as error:
        if error.status == 404:  # its namespace does not exist yet
            return None, item, False
        if made_anew(item, error):
            return live, merge(live, item), True
        raise
    return live, wanted, False


def _dry_run(api: Api, item: Object, live: Object, manager: str) -> Object:
    try:
        try:
            return api.apply(item, dry_run=True, manager=manager)
        except ApiError as refused:
            return laid_over(api, item, live, refused, dry_run=True, manager=manager)
    except ApiError as error:
        if error.status in PASSING or webhooks.not_yet(error.message):
            raise NotYet(error.message) from error
        raise


def apply(api: Api, item: Object, note: Callable[[str], None], *, seconds: float = 120) -> bool:
    """Apply one object; True when the API server took a change.

    Waits for a kind that its definition has just introduced, for a webhook that does not serve yet, and until
    an object of this name is gone that is being removed. A Job whose template differs is removed first.
    Raises `DeadlineError` with what stands behind a webhook that never serves, and `ApiError` at once for
    what the API does not take.
    """
    replaced = False
    found: list[Object | None] = []

    def probe() -> bool:
        nonlocal replaced
        before: Object | None = None
        try:
            before = api.get(api.path(item))
            found.append(before)
            if before and (going := removed(before)):
                raise _noted(note, f"the one that is there {going}")
            try:
                after = api.apply(item)
            except ApiError as refused:
                after = owned_by_apply(api, item, laid_over(api, item, before, refused))
        except (ApiError, Unavailable) as error:
            if before and isinstance(error, ApiError) and made_anew(item, error) and not replaced:
                api.delete(api.path(item), deletion(before, pods=True))
                replaced = True
                raise _noted(note, "is made anew") from error
            # 404: the namespace or the kind was made a moment ago and is not served everywhere yet
            passing = isinstance(error, Unavailable) or error.status in (404, *PASSING)
            if passing or webhooks.not_yet(error.message):
                note(error.message)
                raise NotYet(error.message) from error
            raise
        # as it was at first: what was done before an answer was lost is a change as well; not by
        # resourceVersion: a status that moves between the two requests changes it, too
        return found[0] is None or not _same(found[0], after)

    try:
        return wait_for(f"apply {title(item)}", probe, seconds=seconds, interval=0.3)
    except DeadlineError as error:
        last = error.last + webhooks.evidence(api, error.last)
        raise DeadlineError(error.subject, error.seconds, last, next_step=error.next_step) from error


def _noted(note: Callable[[str], None], last: str) -> NotYet:
    note(last)
    return NotYet(last)


def ensure_secret(api: Api, addon: AddOn, wanted: Secret) -> bool:
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
    api.apply(marked(item, addon))
    return True


def as_text(item: Object) -> str:
    """An object as YAML without what the server keeps for itself."""
    text: str = yaml.dump(declared_part(item), Dumper=Readable, sort_keys=True)
    return text


class Readable(yaml.SafeDumper):  # type: ignore[misc] # PyYAML has no types
    """Text of several lines as such, so that a diff shows the line that changed."""


def _as_lines(dumper: Readable, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Readable.add_representer(str, _as_lines)


def _same(one: Object, other: Object) -> bool:
    return declared_part(one) == declared_part(other)


def declared_part(item: Object) -> Object:
    """An object without its status and what the server keeps for itself in its metadata."""
    hidden = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
    meta = {key: value for key, value in item["metadata"].items() if key not in hidden}
    if TEMPLATE_GENERATION in meta.get("annotations", {}):
        meta["annotations"] = {
            key: value for key, value in meta["annotations"].items() if key != TEMPLATE_GENERATION
        }
    return {key: value for key, value in item.items() if key != "status"} | {"metadata": meta}
