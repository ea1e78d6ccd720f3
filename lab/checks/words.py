"""What people are told of a value: a line for each thing, no Python object and no whole Kubernetes object."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from lab.objects import Object

LINES = 15
"""Of a message about one check: what fits on a screen beside the next one."""
WIDTH = 240
"""Characters of such a line."""
LONG = 2000
"""Characters of a value that a report keeps."""
_TROUBLE = ("Pressure", "Unavailable", "Failed", "Failure")
"""Ends of the names of conditions that are bad when they hold."""


def shown(value: Any, limit: int = LONG) -> str:
    """A value for people: texts as they are, collections in a stable order, long ones cut with a mark."""
    text = _text(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _text(value: Any) -> str:
    match value:
        case str():
            return str(value)
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case set() | frozenset():
            return ", ".join(sorted(map(_text, value))) or "nothing"
        case Mapping() if is_object(value):
            return brief(value)
        case Mapping():
            return ", ".join(f"{_text(key)}: {_text(item)}" for key, item in value.items()) or "nothing"
        case list() | tuple():
            return ", ".join(map(_text, value)) or "nothing"
        case BaseModel():
            return _text(value.model_dump())
        case bytes():
            return value.decode(errors="replace")
    if is_dataclass(value) and not _speaks(value, "__str__"):
        return _text({field.name: getattr(value, field.name) for field in fields(value)})
    told = _speaks(value, "__str__") or _speaks(value, "__repr__")
    return str(value) if told else f"a {type(value).__name__}"


def _speaks(value: object, word: str) -> bool:
    """Whether a class says by itself what its objects look like."""
    return getattr(type(value), word) is not getattr(object, word)


def is_object(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping is an object of the API."""
    meta = value.get("metadata")
    return isinstance(meta, Mapping) and "name" in meta


def brief(item: Mapping[str, Any]) -> str:
    """An object of the API in a line: kind, name, machine, and what is the matter with it."""
    meta, spec = item["metadata"], item.get("spec") or {}
    kind = item.get("kind") or ("Pod" if "containers" in spec else "")
    name = "/".join(filter(None, (meta.get("namespace"), meta["name"])))
    where = f" on {spec['nodeName']}" if spec.get("nodeName") else ""
    said = "; ".join(_states(item, spec))
    return f"{kind} {name}{where}".strip() + (f": {said}" if said else "")


def _states(item: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    status = item.get("status") or {}
    if "deletionTimestamp" in item["metadata"]:
        yield f"being deleted since {item['metadata']['deletionTimestamp']}"
    if "phase" in status:
        yield str(status["phase"])
    if "replicas" in spec:
        yield f"{status.get('readyReplicas', 0)} of {spec['replicas']} Ready"
    of_containers = list(_of_containers(status))
    yield from of_containers
    for condition in status.get("conditions") or ():
        told = of_containers and condition["type"] in ("Ready", "ContainersReady", "Initialized")
        good = "False" if condition["type"].endswith(_TROUBLE) else "True"
        if condition["status"] != good and not told:
            why = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            yield f"{condition['type']} is {condition['status']}" + (f" ({cut(why, 120)})" if why else "")


def _of_containers(status: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(kind) or ():
            for state, said in (one.get("state") or {}).items():
                if state == "running" and not one.get("ready", True):
                    yield f"{one['name']} runs and is not ready"
                elif state != "running" and said.get("reason") != "Completed":
                    why = ": ".join(filter(None, (said.get("reason"), said.get("message"))))
                    yield f"{one['name']} is {state}" + (f" ({cut(why, 120)})" if why else "")


def mismatch(subject: str, expected: Any, seen: Any) -> str:
    """What a check found: one line if that is enough, else a line for each thing that it has seen."""
    said = f"{subject}: expected {shown(expected)}; seen: {shown(seen)}"
    if "\n" not in said and len(said) <= WIDTH:
        return said
    head = f"{subject}: expected {cut(' '.join(shown(expected).split()), WIDTH)}; seen:"
    return fitted("\n".join([head, *(f"  {line}" for line in _parts(seen))]))


def _parts(value: Any) -> list[str]:
    if isinstance(value, Mapping) and not is_object(value):
        return [f"{_text(key)}: {' '.join(_text(item).split())}" for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(map(_text, value))
    if isinstance(value, list | tuple):
        return [" ".join(_text(item).split()) for item in value]
    return shown(value).splitlines()


def fitted(text: str, lines: int = LINES) -> str:
    """A text in so many lines at most, none of them endless; what is left out is counted."""
    found = [cut(line, WIDTH) for line in text.splitlines() if line.strip()]
    if len(found) > lines:
        found = [*found[: lines - 1], f"  … and {len(found) - lines + 1} more lines"]
    return "\n".join(found)


def cut(text: str, width: int) -> str:
    """A text of so many characters at most."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def differing(wanted: str, seen: str) -> list[str]:
    """The lines in which two texts differ: `-` for one that is wanted, `+` for one that is there instead."""
    found = difflib.unified_diff(wanted.splitlines(), seen.splitlines(), lineterm="", n=0)
    return [
        f"{line[0]} {' '.join(line[1:].split())}"
        for line in found
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    ]


def named_objects(text: str) -> list[tuple[str, str]]:
    """Objects that a text names as NAMESPACE/NAME, in its order."""
    words = (word.strip("()[],;:“”`") for word in text.split())
    parts = (word.split("/") for word in words if word.count("/") == 1)
    return [(space, name) for space, name in parts if space[:1].isalpha() and name and "." not in space]


def event_line(item: Object) -> str:
    """An event of the cluster in a line."""
    about = item["involvedObject"]
    name = "/".join(filter(None, (about.get("namespace"), about["name"])))
    when = item.get("lastTimestamp") or item.get("eventTime") or "at an unknown time"
    said = f"{item['type']} {item['reason']} of {about.get('kind', '')} {name}: {item.get('message', '')}"
    return cut(f"  event: {when} {' '.join(said.split())}", WIDTH)
