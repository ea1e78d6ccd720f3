"""What the model refuses, in our words: one problem for each field that cannot be what it says."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lab.inventory import withdrawn
from lab.inventory.document import meaning
from lab.inventory.field_places import FieldPlace
from lab.inventory.problems import Loc, Problem, SourceText, Unfit, closest, shown
from lab.inventory.shape import keys_at, meant, place, refused

_KINDS = {"model": "mapping", "dict": "mapping", "mapping": "mapping", "tuple": "list"}
_NO_VALUE = ""
TOLD_BELOW = 1e15
"""A larger number is no slip of the pen, and a float cannot hold its neighbours."""


def problems(error: ValidationError, source: SourceText) -> list[Problem]:
    """One problem for each error of the model, in the order of the file."""
    details = error.errors(include_url=False)
    unknown = [refused(item) for item in details if item["type"] == "extra_forbidden"]
    mistyped = {(*path[:-1], meant(path)) for path in unknown}
    found = [
        _problem(item, source)
        for item in details
        # a list whose items were all refused is not empty in the file
        if (item["type"] != "too_short" or not item["input"])
        # a key with a slip of the pen is there: that it is unknown says all
        and (item["type"] != "missing" or refused(item) not in mistyped)
    ]
    return sorted(found, key=lambda problem: source.line(problem.path))


def _problem(detail: ErrorDetails, source: SourceText) -> Problem:
    path = refused(detail)
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden" and path in withdrawn.WITHDRAWN:
        return withdrawn.problem(path, source)
    if kind == "extra_forbidden":
        close = meant(path)
        fix = f"did you mean {close}?" if close else f"known are: {', '.join(keys_at(path[:-1]))}"
        return Problem(path, "unknown key", fix, value=_NO_VALUE)
    if kind == "missing":
        parent, key = path[:-1], path[-1]
        return Problem(parent, f'the key "{key}" is missing', f"add {key}: {_purpose(path)}", value=_NO_VALUE)
    if kind == "value_error" and isinstance(context.get("error"), Unfit):
        unfit: Unfit = context["error"]
        is_key = "[key]" in detail["loc"]
        hidden = "(not shown)" if unfit.secret else _NO_VALUE if is_key else None
        if not isinstance(value, str) and not is_key:
            return Problem(
                path, f"is {_described(value, path, source)}; {unfit.rule}", unfit.fix, value=hidden
            )
        return Problem(path, unfit.rule, unfit.fix, value=hidden)
    rule, fix = _type_rule(kind, value, context, path, source)
    return Problem(path, rule, fix)


def _type_rule(
    kind: str, value: Any, context: dict[str, Any], path: Loc, source: SourceText
) -> tuple[str, str]:
    is_ = f"is {_described(value, path, source)}"
    written = source.marks[path].text if path in source.marks and not isinstance(value, str) else str(value)
    here = place(path)
    match kind:
        case "string_type":
            if isinstance(value, dict) and value:
                return f"{is_}; must be text", "put it in quotes: a colon and a blank make a mapping of it"
            if value is None or isinstance(value, list | dict):
                return f"{is_}; must be text", f"write {_purpose(path)}"
            if path and path[-1] == "version":
                return f"{is_}; must be text of three numbers", 'write all three and quote it, as "1.31.0"'
            return f"{is_}; must be text", f'quote it: "{shown(written)}"'
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{is_}; must be a whole number", f"write {_whole(written, here)}"
        case "float_type" | "finite_number":
            return f"{is_}; must be a number", f"write {_plain(written) or 'it without quotes, as 2.5'}"
        case "bool_type":
            return f"{is_}; must be true or false", f"write {_truth(written)}, without quotes"
        case "enum" | "literal_error":
            choices = here.choices if here else []
            close = closest(written, choices)
            fix = f"did you mean {close}?" if close else "write one of them"
            return f"{'' if isinstance(value, str) else is_ + '; '}must be one of {', '.join(choices)}", fix
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            word = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
            (name, bound), *_ = context.items()
            return f"must be {word[name]} {bound:.12g}", f"write a number {word[name]} {bound:.12g}"
        case "too_short":
            return (
                "must not be empty",
                "add an entry" if here and here.required else "add an entry, or leave the key out",
            )
        case _ if kind.endswith("_type"):
            wanted = _KINDS.get(kind.partition("_")[0], kind.partition("_")[0])
            if wanted == "mapping" and here and here.model:
                return f"{is_}; must be a mapping", f"write {here.purpose}"
            example = "KEY: VALUE" if wanted == "mapping" else "- VALUE"
            return f"{is_}; must be a {wanted}", f"write {example} lines below it"
        case _:
            return f"cannot be used ({kind.replace('_', ' ')})", f"write {_purpose(path)}"


def _described(value: Any, path: Loc, source: SourceText) -> str:
    """What a value is, for a person; a number that reads differently from how it was written says so."""
    match value:
        case None:
            return "empty"
        case bool():
            return "a truth value"
        case int() | float():
            written = source.marks[path].text if path in source.marks else str(value)
            return "a number" if written == str(value) else f"a number ({value})"
        case dict():
            return "a mapping"
        case list():
            return "a list"
    return "text"


def _plain(written: str) -> str:
    """The whole number that was written with quotes or leading zeros; "" for anything else."""
    digits = written.strip().lstrip("0")
    return digits if digits.isascii() and digits.isdigit() else ""


def _whole(written: str, here: FieldPlace | None) -> str:
    """What to write for a whole number: the nearest that the field takes, if a number was written."""
    number = meaning(written.strip())
    if isinstance(number, float) and abs(number) < TOLD_BELOW:
        near = dict.fromkeys((floor(number), ceil(number)))
        taken = [str(value) for value in near if here is None or here.holds(value)]
        return " or ".join(taken) or "digits alone, as 4"
    return _plain(written) or "digits alone, without quotes, as 4"


def _truth(written: str) -> str:
    return {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}.get(
        written.lower(), written.lower() if written.lower() in ("true", "false") else "true or false"
    )


def _purpose(path: Loc) -> str:
    here = place(path)
    return here.purpose or "a value" if here else "a value"
