"""Fields that are refused by name: nothing is built from them, and nobody may rely on what is not there.

Files written for another version may have them, so their refusal says more than that the key is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.inventory.problems import Loc, Problem, SourceText


@dataclass(frozen=True)
class Withdrawn:
    """What people wrote below an unknown key (`told`, told if it is there), and why it is refused."""

    told: Loc
    rule: str
    fix: str


WITHDRAWN: Mapping[Loc, Withdrawn] = {
    ("storage",): Withdrawn(
        ("storage", "kind"),
        "nothing provides volumes in this version: storage comes with an add-on of a later one",
        "remove the section storage until then",
    ),
    ("network", "router"): Withdrawn(
        ("network", "router"),
        "nothing is built from it: machines know their gateway alone",
        "remove it, or keep it as a comment",
    ),
}
"""By the key that the models do not know."""


def problem(path: Loc, source: SourceText) -> Problem:
    """The refusal of a key of `WITHDRAWN`, told at the field that people meant."""
    found = WITHDRAWN[path]
    return Problem(found.told if found.told in source.marks else path, found.rule, found.fix)
