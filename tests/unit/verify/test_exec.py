"""What the API says when a program in a pod has ended, or was never started."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.checks.cluster import _exit_code


class Ended:
    """A websocket of which only the error channel is left."""

    def __init__(self, status: dict[str, Any], *, is_open: bool = False) -> None:
        self._status, self._is_open = status, is_open

    def is_open(self) -> bool:
        return self._is_open

    def read_channel(self, _: int) -> str:
        return json.dumps(self._status)


def failure(reason: str, message: str) -> dict[str, Any]:
    return {"status": "Failure", "details": {"causes": [{"reason": reason, "message": message}]}}


def test_an_exit_code_is_told() -> None:
    assert _exit_code(Ended({"status": "Success"})) == 0
    assert _exit_code(Ended(failure("ExitCode", "3"))) == 3
    assert _exit_code(Ended({}, is_open=True)) is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (failure("", "unable to upgrade connection: Unauthorized"), "Unauthorized"),
        ({"status": "Failure", "message": "container not found"}, "container not found"),
    ],
)
def test_a_program_that_was_never_started_is_told_in_the_apis_words(
    status: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        _exit_code(Ended(status))
