"""Modules that are found in folders: what is wrong in one is told with file, line and rule."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.errors import FailedError, InputError
from lab.parts import at, part
from lab.render import templates


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules can be imported as those of a checkout."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("lab.parts.ROOT", tmp_path)
    (tmp_path / "found_parts").mkdir()
    for name in [name for name in sys.modules if name.startswith("found_parts")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path / "found_parts"


def test_a_part_is_what_the_module_holds(found: Path) -> None:
    (found / "good.py").write_text("THING = 3\n")
    assert part("found_parts.good", "THING") == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"^found_parts/bad.py: is missing; it must hold THING"),
        ("OTHER = 3\n", r"^found_parts/bad.py: THING: is missing"),
        ("\n\n1/0\n", r"^found_parts/bad.py:3: cannot be loaded: ZeroDivisionError: division by zero"),
        ("\ndef x(:\n", r"^found_parts/bad.py:2: cannot be loaded: SyntaxError: "),
        ("import sys\nsys.exit(3)\n", r"^found_parts/bad.py:2: cannot be loaded: SystemExit: 3"),
        ("import no_such_thing\n", r"^found_parts/bad.py:1: cannot be loaded: ModuleNotFoundError: "),
    ],
)
def test_what_is_wrong_in_a_module_is_an_input_error(found: Path, text: str | None, said: str) -> None:
    if text is not None:
        (found / "bad.py").write_text(text)
    with pytest.raises(InputError, match=said) as error:
        part("found_parts.bad", "THING")
    assert "found_parts/bad.py" in error.value.next_step


def test_an_error_of_ours_stays_what_it_is(found: Path) -> None:
    (found / "ours.py").write_text("from lab.errors import FailedError\nraise FailedError('so it is')\n")
    with pytest.raises(FailedError, match="so it is"):
        part("found_parts.ours", "THING")


def test_a_place_is_the_innermost_line_of_the_checkout() -> None:
    try:
        templates.environment().from_string("{{ 1 // 0 }}").render()
    except ZeroDivisionError as error:
        assert at(error).startswith("tests/unit/test_parts.py:")
    assert at(ValueError("nobody raised it")) == ""
