"""What each task of the menu does; `tasks.py` and the providers' menus only name them and their arguments."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from invoke.exceptions import Exit

from lab.errors import PlumblineError


def run(target: str, /, verbose: bool = False, **options: object) -> None:
    """Call what `command` finds; only its module is imported, so the menu opens at once."""
    try:
        found = command(target)
    except PlumblineError as error:  # what is wrong in a folder may show while modules are imported
        raise Exit(f"error: {error}", code=error.exit_code) from None
    found(verbose=verbose, **options)


def command(target: str) -> Callable[..., Any]:
    """The function `module.function` of this package, or of a provider's folder by its whole name."""
    module, _, function = target.rpartition(".")
    found: Callable[..., Any] = getattr(
        import_module(module if "." in module else f"{__name__}.{module}"), function
    )
    return found
