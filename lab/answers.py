"""Answers of programs on hosts, as typed records.

A host answers with JSON. It is read here and nowhere else: what does not fit is an error that names host,
section and key, never an empty value. Programs of ours use the standard library alone, so each shape stands
twice; tests let the programs answer, and read that by the records.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from lab.errors import FailedError

T = TypeVar("T")


class AnswerPart(BaseModel):
    """A part of an answer: every key is there and has its type, and there is no other."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def read(host: str, text: str) -> dict[str, Any]:
    """The JSON object that a host printed. Raises `FailedError` for anything else."""
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise FailedError(f"{host}: an answer that is no JSON: {text[:200]!r}") from error
    if not isinstance(answer, dict):
        raise FailedError(f"{host}: an answer that is no JSON object: {text[:200]!r}")
    return answer


def fit(host: str, section: str, shape: TypeAdapter[T], value: Any) -> T:
    """A value of an answer as its record; `section` names it. Raises `FailedError` when it does not fit."""
    try:
        return shape.validate_python(value, strict=True)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        key = ".".join(map(str, (section, *wrong["loc"])))
        seen = "" if wrong["type"] == "missing" else f": {wrong['input']!r:.100}"
        raise FailedError(
            f"{host}: {key}{seen}: {wrong['msg']}",
            next_step="the program on the host is of another version than its record in lab/",
        ) from error
