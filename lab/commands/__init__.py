"""What each task of the menu does; `tasks.py` only names them and their arguments."""

from __future__ import annotations

from importlib import import_module


def run(name: str, /, verbose: bool = False, **options: object) -> None:
    """Call `module.function` of this package; only that module is imported, so the menu opens at once."""
    module, _, function = name.partition(".")
    getattr(import_module(f"{__name__}.{module}"), function)(verbose=verbose, **options)
