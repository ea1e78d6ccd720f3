"""The clients around a fault: what they make of each answer. Their connection is a table of answers."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lab.checks.history import Fate
from lab.faults.clients import (
    EMPTY,
    Answered,
    Client,
    Endpoint,
    Gone,
    Unanswered,
    Watcher,
    Writer,
    register_object,
)
from tests.soon import SOON

DOOR = Endpoint("10.1.1.50", 6443, ssl.create_default_context(), "/api/v1/namespaces/fire/configmaps")


def stored(value: str, version: int) -> dict[str, Any]:
    item = register_object("register-a", value)
    item["metadata"]["resourceVersion"] = str(version)
    return item


class Body:
    """An answer that is read whole, or line by line."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self._lines = [json.dumps(line).encode() + b"\n" for line in lines]

    def read(self) -> bytes:
        return b"".join(self._lines)

    def readline(self) -> bytes:
        return self._lines.pop(0) if self._lines else b""


def answering(
    client: Client, answers: list[Body | Exception], over: Callable[[], None]
) -> list[tuple[str, str, Any]]:
    """Give the client these answers, one each, and end it behind the last; what it asked."""
    asked: list[tuple[str, str, Any]] = []
    left = iter(answers)

    def send(method: str, path: str, _seconds: float, body: Any = None) -> Body:
        asked.append((method, path, body))
        try:
            answer = next(left)
        except StopIteration:
            over()
            raise Unanswered("over") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    client._send = send  # type: ignore[method-assign, assignment]
    return asked


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.faults.clients.WRITE_INTERVAL", 0.0)
    monkeypatch.setattr("lab.faults.clients.READ_INTERVAL", 0.0)


@pytest.mark.usefixtures("no_pause")
def test_a_writer_counts_up_and_reads_again_after_doubt() -> None:
    writer = Writer("w", DOOR, ["register-a"])
    asked = answering(
        writer,
        [
            Body(stored(EMPTY, 10)),
            Body(stored("1:w-1", 11)),
            Answered("409: conflict"),
            Body(stored("2:other", 13)),
            TimeoutError("timed out"),
            Body(stored("3:w-3", 17)),
            Body(stored("4:w-4", 19)),
        ],
        writer._over.set,
    )
    writer.run()
    writes = [item for item in writer.history if item.write][:4]
    assert [(item.value, item.base, item.version, item.fate) for item in writes] == [
        ("1:w-1", 10, 11, Fate.OK),
        ("2:w-2", 11, 0, Fate.REFUSED),
        ("3:w-3", 13, 0, Fate.UNKNOWN),
        ("4:w-4", 17, 19, Fate.OK),
    ]
    assert [method for method, _, _ in asked][:7] == ["GET", "PUT", "PUT", "GET", "PUT", "GET", "PUT"]
    assert asked[1][2]["metadata"] == {"name": "register-a", "resourceVersion": "10"}


@pytest.mark.usefixtures("no_pause")
def test_a_watch_goes_on_where_it_was() -> None:
    watch = Watcher("watch", DOOR, 10)
    other = {"metadata": {"name": "kube-root-ca.crt", "resourceVersion": "12"}, "data": {"ca.crt": "..."}}
    asked = answering(
        watch,
        [
            Body({"type": "MODIFIED", "object": stored("1:w", 11)}, {"type": "ADDED", "object": other}),
            ConnectionResetError("reset"),
            Body({"type": "ERROR", "object": {"code": 504, "message": "too large resource version"}}),
            Body({"type": "MODIFIED", "object": stored("2:w", 14)}),
        ],
        watch._over.set,
    )
    watch.run()
    assert [(event.version, event.value) for event in watch.events] == [(11, "1:w"), (14, "2:w")]
    assert [path.rpartition("=")[2] for _, path, _ in asked] == ["10", "11", "11", "11", "14"]
    assert watch.expired == ""


@pytest.mark.usefixtures("no_pause")
def test_a_watch_whose_version_is_gone_goes_on_from_a_list() -> None:
    watch = Watcher("watch", DOOR, 10)
    other = {"metadata": {"name": "kube-root-ca.crt", "resourceVersion": "12"}, "data": {"ca.crt": "..."}}
    items = [stored("4:w", 15), other, stored("1:w", 10)]
    asked = answering(
        watch,
        [
            Body({"type": "ERROR", "object": {"code": 410, "message": "too old"}}),
            ConnectionResetError("reset"),  # the list breaks: all of it again
            Gone("410: too old"),
            Body({"metadata": {"resourceVersion": "19"}, "items": items}),
            Body({"type": "MODIFIED", "object": stored("5:w", 21)}),
        ],
        watch._over.set,
    )
    watch.run()
    assert [(event.version, event.value) for event in watch.events] == [(15, "4:w"), (21, "5:w")]
    assert (watch.listed, watch.expired) == ([(10, 19)], "")
    versions = [path.partition("resourceVersion=")[2] for _, path, _ in asked]
    assert versions == ["10", "", "10", "", "19", "21"]


@pytest.mark.usefixtures("no_pause")
def test_a_watch_that_may_not_list_says_so_and_ends() -> None:
    watch = Watcher("watch", DOOR, 10)
    answering(watch, [Gone("410: too old"), Answered("403: forbidden")], lambda: None)
    watch.run()
    assert watch.expired == "403: forbidden"


def test_a_watch_in_which_nothing_happens_ends_at_once() -> None:
    """It sits in a read that would last for all its patience: the connection is shut below it."""
    reading, shut = threading.Event(), threading.Event()

    class Wire:
        def shutdown(self, how: int) -> None:
            assert how == socket.SHUT_RDWR
            shut.set()

    class Connection:
        sock = Wire()

        def close(self) -> None:
            """As often as you like."""

    class Silent:
        def readline(self) -> bytes:
            reading.set()
            assert shut.wait(SOON)
            return b""

    watch = Watcher("watch", DOOR, 10)

    def send(*_: object) -> Silent:
        watch._connection = Connection()  # type: ignore[assignment]
        return Silent()

    watch._send = send  # type: ignore[method-assign, assignment]
    watch.start()
    assert reading.wait(SOON)
    watch.stop()
    assert shut.is_set()
    watch.join(SOON)
    assert not watch.is_alive()
