"""The fixtures as a table, and refusals taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab.addons import FOLDER as ADDONS

FIXTURES = Path(__file__).parents[2] / "fixtures" / "inventory"
INVALID, VALID = (
    sorted(
        (*(FIXTURES / kind).glob("*.yaml"), *ADDONS.glob(f"*/fixtures/{kind}/*.yaml")), key=lambda f: f.name
    )
    for kind in ("invalid", "valid")
)
"""Of the platform, and of each add-on."""
LINE = re.compile(r"(?P<file>\S+\.yaml):(?P<line>\d+): (?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True)
class Told:
    """One line of a refusal, taken apart."""

    line: int
    rest: str

    def is_about(self, path: str, words: str) -> bool:
        return self.rest.startswith(f"{path}: ") and words in self.rest


def expected(path: Path, kind: str) -> list[tuple[str, str]]:
    """Path and words of each comment of a kind at the top of a fixture."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    comments = [line.removeprefix(f"# {kind}: ") for line in lines if line.startswith(f"# {kind}: ")]
    return [(where, words) for where, _, words in (comment.partition(" | ") for comment in comments)]


def told(message: str) -> list[Told]:
    matches = [LINE.fullmatch(line) for line in message.splitlines()]
    assert all(matches), f"not every line is file:line: path: ...:\n{message}"
    return [Told(int(match["line"]), match["rest"]) for match in matches if match]
