"""Commands that change a living lab, one file each: found, and not listed.

Facts, decisions, and a visible list of steps, whose sentences are the plan. The file's docstring is the help
of its command, which has one line in `tasks.py`.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the menu finds the names and must open at once
    from lab.steps.operation import Operation

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all operations, as they are typed."""
    return tuple(sorted(path.stem for path in FOLDER.glob("[a-z]*.py")))


def meaning(name: str) -> str:
    """The docstring of an operation, without importing it."""
    return ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or ""


def find(name: str) -> Operation:
    """The operation of that name."""
    found: Operation = import_module(f"{__name__}.{name}").OPERATION
    return found
