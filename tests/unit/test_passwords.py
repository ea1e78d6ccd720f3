"""Passwords of people: made once, for the user's own eyes, and refused where they are not."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.errors import FailedError
from lab.passwords import LONGEST, Passwords

NAME = ("monitoring", "grafana-admin")


def test_a_password_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path / "passwords")
    assert passwords.kept(*NAME) == ""
    made = passwords.make(*NAME)
    assert len(made) == 24
    path = passwords.file(*NAME)
    assert path == tmp_path / "passwords" / "monitoring.grafana-admin"
    assert path.read_text() == f"{made}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Passwords(tmp_path / "passwords").make(*NAME) == made
    assert passwords.keep(*NAME, "another") == made
    assert passwords.make("monitoring", "other") != made


def test_all_who_ask_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: passwords.make(*NAME), range(16)))
    assert made == {passwords.kept(*NAME)}


def test_a_password_of_the_lab_is_kept_as_it_is(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path)
    assert passwords.keep(*NAME, "of the lab") == "of the lab"
    assert passwords.make(*NAME) == "of the lab"


@pytest.mark.parametrize("text", ["correct horse battery staple\n", "grün", "x" * LONGEST])
def test_a_person_may_write_one(tmp_path: Path, text: str) -> None:
    passwords = Passwords(tmp_path)
    passwords.make(*NAME)
    passwords.file(*NAME).write_text(text)
    assert passwords.kept(*NAME) == text.removesuffix("\n")


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", " before", "after ", "a\tb", "x" * (LONGEST + 1)])
def test_what_is_no_password_is_refused_by_its_file(tmp_path: Path, text: str) -> None:
    passwords = Passwords(tmp_path)
    passwords.make(*NAME)
    passwords.file(*NAME).write_text(text)
    with pytest.raises(FailedError, match="must hold one line of 1 to 256 characters") as error:
        passwords.kept(*NAME)
    assert str(passwords.file(*NAME)) in error.value.message
    assert text.strip() == "" or text.strip() not in error.value.message


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path)
    made = passwords.make(*NAME)
    path = passwords.file(*NAME)
    path.chmod(0o640)
    with pytest.raises(FailedError, match="has mode 640: others can read the password") as error:
        passwords.kept(*NAME)
    assert error.value.next_step == f"chmod 600 {path}"
    path.chmod(0o400)
    assert passwords.kept(*NAME) == made


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path)
    passwords.make(*NAME)
    passwords.file(*NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(FailedError, match="is no text"):
        passwords.kept(*NAME)
    passwords.file(*NAME).unlink()
    passwords.file(*NAME).mkdir()
    with pytest.raises(FailedError, match="Is a directory"):
        passwords.kept(*NAME)
