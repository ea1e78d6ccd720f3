"""The first request at a service's address waits until the address is announced."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from addons.metallb import web
from lab.checks.outcomes import Mismatch
from lab.checks.outside import Answer
from lab.checks.verbs import Refused
from tests.fakes import FakeClock

GOOD = Answer(200, "{}", {})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the address answers, one after the other; the last one for ever."""
    monkeypatch.setattr("lab.checks.verbs.time", FakeClock())
    answers: list[Any] = []

    def http_get(*_: object, **__: object) -> Answer:
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(said, Answer):
            return said
        raise Refused(said)

    def announced(*_: object) -> None:
        answers.append(GOOD)

    monkeypatch.setattr(web, "http_get", http_get)
    monkeypatch.setattr(web, "forget_neighbour", announced)
    return answers


def made() -> web.Web:
    space = SimpleNamespace(driver=SimpleNamespace(lan_interface="lan"))
    return web.Web(cast("Any", space), "10.1.1.102", 0.1)


def test_an_address_that_is_not_announced_yet_is_asked_again(asked: list[Any]) -> None:
    asked += ["No route to host", Answer(503, "", {})]
    assert web.first_answer(made()) is GOOD


def test_an_address_that_nobody_announces_is_told(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "forget_neighbour", lambda *_: None)
    asked += ["No route to host"]
    with pytest.raises(Mismatch, match="No route to host"):
        web.first_answer(made())
