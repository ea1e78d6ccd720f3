"""What an endpoint is: who may use it and which parameters it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.doubles.pve.parameters import Parameter

Permission = list[Any]
"""A check as PVE writes it: ["perm", path, [privileges]], ["and", ...], ["or", ...]; [] for any user."""


@dataclass(frozen=True)
class Endpoint:
    """One method on one path. `permission` is checked before anything is looked at."""

    permission: Permission = field(default_factory=list)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    allows_token: bool = True
    since: int = 8
    """First major version that has it."""


def perm(path: str, *privileges: str, any_of: bool = False) -> Permission:
    """A check for all (or one) of the privileges on a path."""
    return ["perm", path, list(privileges), *(["any", 1] if any_of else [])]
