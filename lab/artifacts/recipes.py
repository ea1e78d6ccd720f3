"""Recipes: how a set of programs is built from published modules.

A recipe is a folder beside a catalogue with `recipe.yaml`, `go.mod` and `go.sum` of our own. The third
party's source is never kept here; where it must differ, `edits` make a changed copy at build time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import Field, model_validator

from lab.catalogue.model import CatalogueModel, Inside
from lab.errors import FailedError, InputError
from lab.own_yaml import load


class Edit(CatalogueModel):
    """A changed copy of a module, into `folder` (go.mod replaces the module by it).

    `sum` is the module's checksum in the notation of go.sum. `keep` leaves out everything below a folder
    except the named names; `replace_lines` names lines that must be there (once, spaces at the ends aside)
    and what takes their place ("" drops them); `add` puts files of the recipe's folder into the copy.
    """

    module: str
    sum: str
    folder: Inside
    remove: tuple[Inside, ...] = ()
    keep: dict[Inside, tuple[str, ...]] = Field(default_factory=dict)
    replace_lines: dict[Inside, dict[str, str]] = Field(default_factory=dict)
    add: dict[Inside, Inside] = Field(default_factory=dict)


class CProgram(CatalogueModel):
    """One statically linked program from one C file inside a module."""

    program: str
    module: str
    sum: str
    file: Inside
    flags: tuple[str, ...]


class Recipe(CatalogueModel):
    """recipe.yaml: programs by name -> package path, and what the linker is told."""

    programs: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    variables: dict[str, str] = Field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    c: CProgram | None = None

    @model_validator(mode="after")
    def _builds_something(self) -> Recipe:
        if bool(self.programs) == (self.c is not None):
            raise ValueError("give either `programs` or `c`")
        return self


def load_recipe(folder: Path) -> Recipe:
    """Read a recipe; raises `InputError` naming file and field."""
    return load(folder / "recipe.yaml", Recipe)


def apply_edit(edit: Edit, source: Path, recipe_folder: Path, target: Path) -> None:
    """Make the changed copy of a module.

    Raises `InputError` when something to change is not there: the edit was written for another version.
    """
    shutil.copytree(source, target, symlinks=True)
    # The module cache is read-only, and so is a copy of it.
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)
    for name in edit.remove:
        if not (target / name).is_dir():
            raise _stale(edit, f"remove: {name}: no such folder")
        shutil.rmtree(target / name)
    for folder, kept in edit.keep.items():
        if not (target / folder).is_dir():
            raise _stale(edit, f"keep: {folder}: no such folder")
        for path in (target / folder).iterdir():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, lines in edit.replace_lines.items():
        text = (target / name).read_text().splitlines(keepends=True)
        for line, new in lines.items():
            places = [number for number, one in enumerate(text) if one.strip() == line]
            if len(places) != 1:
                raise _stale(edit, f"replace_lines: {name}: {line!r} is there {len(places)} times, not once")
            text[places[0]] = f"{new}\n" if new else ""
        (target / name).write_text("".join(text))
    for name, own in edit.add.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(recipe_folder / own, target / name)


def check_sum(module: str, wanted: str, got: str) -> None:
    """Refuse a module whose content is not the one the recipe was written for."""
    if wanted != got:
        raise FailedError(
            f"{module}: checksum is {got}, the recipe wants {wanted}",
            next_step="clear go/mod in the cache folder and run it again; if it stays, do not build it",
        )


def _stale(edit: Edit, what: str) -> InputError:
    return InputError(f"{edit.module}: {what}", next_step="write the recipe's edits for this version")
