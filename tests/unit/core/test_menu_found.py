"""The menu is made of what is found: what does not fit ends each command with file and rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.exceptions import Exit

from lab import operations
from lab.commands import menu, run
from lab.errors import InputError

GOOD = '"""Greet the lab."""\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of operations, with one in it."""
    (tmp_path / "greet.py").write_text(GOOD)
    (tmp_path / "__init__.py").touch()
    monkeypatch.setattr(operations, "FOLDER", tmp_path)
    return tmp_path


def refused(known: menu.Operations) -> str:
    with pytest.raises(Exit) as error:
        menu.operating(known)
    assert error.value.code == 2
    assert error.value.message
    return str(error.value.message)


def test_each_operation_has_its_file_and_its_line(folder: Path) -> None:
    assert [item.name for item in menu.operating({"greet": ()})] == ["plan", "greet"]
    assert "tasks.py: OPERATIONS: wave: there is no lab/operations/wave.py" in refused(
        {"greet": (), "wave": ()}
    )
    assert "lab/operations/greet.py: tasks.py has no line for it in OPERATIONS" in refused({})
    (folder / "Wave.py").write_text(GOOD)
    assert "lab/operations/Wave.py: tasks.py has no line" in refused({"greet": ()})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "error: lab/operations/greet.py: has no docstring; it is the command's help"),
        ('"""x."""\ndef (:\n', "error: lab/operations/greet.py:2: cannot be read: invalid syntax"),
    ],
)
def test_a_file_without_help_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "greet.py").write_text(text)
    assert refused({"greet": ()}).startswith(said)


def test_an_operation_that_the_file_does_not_hold_is_told() -> None:
    assert operations.find("build").steps is not None
    with pytest.raises(InputError, match=r"lab/operations/bild\.py: is missing; it must hold OPERATION"):
        operations.find("bild")


def test_two_commands_of_one_name_are_refused(folder: Path) -> None:
    tasks = menu.operating({"greet": ()})
    assert sorted(menu.whole(tasks, {"rack": Collection()}).collections) == ["rack"]
    for groups, more in (({}, tasks[1:]), ({"greet": Collection()}, [])):
        with pytest.raises(Exit, match="greet: two commands have this name"):
            menu.whole([*tasks, *more], groups)
    assert folder


def test_what_is_wrong_while_modules_are_imported_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "raising.py").write_text(
        "from lab.errors import InputError\nraise InputError('addons/a: x')\n"
    )
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "cli.py").write_text("import raising\n")
    with pytest.raises(Exit, match=r"^error: addons/a: x$") as error:
        run("nested.cli.row")
    assert error.value.code == 2
