"""What lies in folders that are found and not listed: modules of add-ons, providers and operations.

Nobody imports such a module by its name, so what is wrong in one is told as of a file of data.
"""

from __future__ import annotations

import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.errors import InputError, PlumblineError

ROOT = Path(__file__).resolve().parents[1]


def part(module: str, name: str) -> Any:
    """What a module holds under a name.

    Raises `InputError` with the file, the line if there is one, and the rule: for a file that is not there,
    that cannot be loaded, or that holds no such name.
    """
    file = f"{module.replace('.', '/')}.py"
    mend = f"edit {file}"
    try:
        loaded = import_module(module)
    except PlumblineError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise InputError(f"{file}: is missing; it must hold {name}", next_step=f"write {file}") from None
        said = f"cannot be loaded: {type(error).__name__}: {error}"
        raise InputError(f"{at(error, file)}: {said}", next_step=mend) from error
    if not hasattr(loaded, name):
        raise InputError(f"{file}: {name}: is missing", next_step=mend)
    return getattr(loaded, name)


def at(error: BaseException, file: str = "") -> str:
    """FILE:LINE of an error, as far as it is known: the innermost in `file`, or in the checkout."""
    if isinstance(error, SyntaxError) and error.filename and (not file or error.filename.endswith(file)):
        return f"{file or error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _place(frame.filename) and file in frame.filename]
    return f"{_place(own[-1].filename)}:{own[-1].lineno}" if own else file


def _place(filename: str) -> str:
    """A file of the checkout as people write it; "" for others, those of installed packages among them."""
    path = Path(filename)
    if not path.is_relative_to(ROOT) or path.is_relative_to(ROOT / ".venv"):
        return ""
    return str(path.relative_to(ROOT))
