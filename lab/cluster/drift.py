"""Drift: where a living object is not what is rendered, field by field.

Server-side apply answers half of the question. What applying the rendered object would change is told by the
API's own dry run. What somebody else has added beside it (a field, a port, a container, a key of a ConfigMap)
is no conflict for it and stays; that is told by the object's managedFields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from lab.cluster.api import FIELD_MANAGER, Api
from lab.cluster.apply import compared, declared_part
from lab.cluster.managed_fields import MISSING, added
from lab.cluster.removal import removed
from lab.objects import Object, title
from lab.own_yaml import loads

LONGEST = 200
"""Characters of one value in a message."""
HIDDEN = "(not shown)"


@dataclass(frozen=True)
class Drift:
    """One field of one object: `path` as `spec.ports[name=web].port`, "" for the object as a whole."""

    name: str
    path: str
    rendered: str
    living: str

    def __str__(self) -> str:
        place = f"{self.name} {self.path}".strip()
        return f"{place}: {self.living} (rendered: {self.rendered})"


def drift(api: Api, item: Object, manager: str = FIELD_MANAGER) -> list[Drift]:
    """Every field of the living object that is not as in the rendered `item`; changes nothing.

    `manager` is who would apply it. Texts of a ConfigMap that are YAML or JSON are compared by what they say.
    Raises `DeadlineError` while a webhook that judges the object does not serve.
    """
    name = title(item)
    living, wanted = compared(api, item, manager)
    if living is None:
        return [Drift(name, "", "there", "does not exist")]
    if going := removed(living):
        return [Drift(name, "", "there", going)]
    secret = item["kind"] == "Secret"
    found = [
        Drift(name, path, *_told(rendered, seen, secret=secret))
        for path, rendered, seen in differences(*_opened(declared_part(wanted), declared_part(living)))
    ]
    for extra in added(api, item, living):
        value = HIDDEN if secret else _short(extra.value)
        found.append(Drift(name, extra.path, "nothing", f"{value}, added by {extra.manager}"))
    return found


def differences(wanted: Any, living: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, wanted and living value of the smallest parts in which trees differ; `MISSING` for no value."""
    if wanted == living:
        return
    if isinstance(wanted, dict) and isinstance(living, dict):
        for key in sorted({*wanted, *living}):
            inner = f"{path}.{key}" if path else key
            yield from differences(wanted.get(key, MISSING), living.get(key, MISSING), inner)
    elif isinstance(wanted, list) and isinstance(living, list) and _named(wanted) and _named(living):
        ours, theirs = ({item["name"]: item for item in items} for items in (wanted, living))
        for name in dict.fromkeys([*ours, *theirs]):
            inner = f"{path}[name={name}]"
            yield from differences(ours.get(name, MISSING), theirs.get(name, MISSING), inner)
    else:
        yield path, wanted, living


def _opened(wanted: Object, living: Object) -> tuple[Object, Object]:
    """Both objects; of a ConfigMap with those texts as trees that are mappings on both sides."""
    if wanted["kind"] != "ConfigMap":
        return wanted, living
    ours, theirs = (dict(item.get("data") or {}) for item in (wanted, living))
    for key in ours.keys() & theirs.keys():
        trees = [_tree(data[key]) for data in (ours, theirs)]
        if all(isinstance(tree, dict) for tree in trees):
            ours[key], theirs[key] = trees
    return wanted | {"data": ours}, living | {"data": theirs}


def _tree(text: str) -> Any:
    try:
        return loads(text)
    except yaml.YAMLError:
        return None


def _named(items: list[Any]) -> bool:
    return all(isinstance(item, dict) and "name" in item for item in items)


def _told(rendered: Any, living: Any, *, secret: bool) -> tuple[str, str]:
    """Both values for people: of long texts the lines, of lists the members that the other has not."""
    if secret:
        return HIDDEN, HIDDEN
    if isinstance(rendered, str) and isinstance(living, str) and "\n" in rendered + living:
        rendered, living = ([line.strip() for line in text.splitlines()] for text in (rendered, living))
    if not (isinstance(rendered, list) and isinstance(living, list)):
        return _short(rendered), _short(living)
    ours = [_short(item) for item in rendered if item not in living]
    theirs = [_short(item) for item in living if item not in rendered]
    if not ours and not theirs:
        return "as rendered", "the same in another order, or more than once"
    return ", ".join(ours) or "not there", ", ".join(theirs) or "not there"


def _short(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
