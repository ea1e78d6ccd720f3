"""Commands that change a living lab, one file each: found, and not listed.

Facts, decisions, and a visible list of steps, whose sentences are the plan. The file's docstring is the help
of its command, which has one line in `tasks.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import InputError
from lab.parts import at, part

if TYPE_CHECKING:  # the menu finds the names and must open at once
    from lab.steps.operation import Operation

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all operations, as they are typed."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")))


def meaning(name: str) -> str:
    """The docstring of an operation, without importing it. Raises `InputError` for a file without one."""
    file = f"lab/operations/{name}.py"
    try:
        said = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(), file))
    except SyntaxError as error:
        raise InputError(
            f"{at(error, file)}: cannot be read: {error.msg}", next_step=f"edit {file}"
        ) from None
    if not said:
        raise InputError(f"{file}: has no docstring; it is the command's help", next_step=f"edit {file}")
    return said


def find(name: str) -> Operation:
    """The operation of that name."""
    found: Operation = part(f"{__name__}.{name}", "OPERATION")
    return found
