"""Clients that go on working while something breaks: readers and writers of registers, and a watch.

A register is a ConfigMap; all clients go through the balancer, each works in a closed loop (one operation in
flight) and records every one. A reader opens a new connection for every request; a writer keeps its own as
long as it works, as real controllers do, and writes with compare-and-set.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lab.checks.history import ClientOp, Fate, WatchEvent, count

READ_INTERVAL = 0.1
READ_SECONDS = 1.0
WRITE_INTERVAL = 0.1
WRITE_SECONDS = 2.0
WATCH_SILENCE = 3.0
"""The writers make several events a second: a watch that is silent for so long is dead."""

KEY = "value"
EMPTY = "0:"
"""A register's first value: the counter, and who wrote it."""


class Unanswered(Exception):
    """No answer, or one that leaves open whether the operation happened."""


class Answered(Exception):
    """An answer that says no for certain."""


class Gone(Answered):
    """The API does not know any more what came after a version."""


@dataclass(frozen=True)
class Endpoint:
    """The API as clients reach it; `collection` is the path of the registers' ConfigMaps."""

    host: str
    port: int
    tls: ssl.SSLContext
    collection: str


class Client(threading.Thread):
    """One client of some registers; runs until `stop`."""

    def __init__(self, name: str, door: Endpoint, registers: Sequence[str]) -> None:
        super().__init__(name=name, daemon=True)
        self.history: list[ClientOp] = []
        self._door, self._registers = door, tuple(registers)
        self._over = threading.Event()
        self._connection: http.client.HTTPSConnection | None = None

    def stop(self) -> None:
        """End after the operation in flight, if it runs: one that was only asked to read never did."""
        self._over.set()
        if self.ident is not None:
            self.join(WRITE_SECONDS + WATCH_SILENCE + 5)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _send(
        self, method: str, path: str, seconds: float, body: dict[str, Any] | None = None
    ) -> http.client.HTTPResponse:
        """One request. 4xx answers are certain; 5xx, 429 and silence are not."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._door.host, self._door.port, timeout=seconds, context=self._door.tls
            )
        text = json.dumps(body) if body else None
        self._connection.request(method, path, body=text, headers={"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        if answer.status < 400:
            return answer
        said = f"{answer.status}: {answer.read()[:200].decode(errors='replace')}"
        if answer.status == 410:
            raise Gone(said)
        if answer.status < 500 and answer.status != 429:
            raise Answered(said)
        raise Unanswered(said)

    def _ask(
        self, method: str, register: str, seconds: float, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            path = f"{self._door.collection}/{register}"
            found: dict[str, Any] = json.loads(self._send(method, path, seconds, body).read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._hang_up()
            raise Unanswered(f"{type(error).__name__}: {error}") from error
        return found

    def read(self, register: str) -> dict[str, Any] | None:
        """Read a register and note it; the object, None without an answer."""
        began = time.monotonic()
        try:
            item = self._ask("GET", register, READ_SECONDS)
        except (Unanswered, Answered) as error:
            self._note(register, began, Fate.UNKNOWN, note=str(error))
            return None
        self._note(register, began, Fate.OK, value=value_of(item), version=version_of(item))
        return item

    def _note(self, register: str, began: float, fate: Fate, *, write: bool = False, **more: Any) -> None:
        self.history.append(ClientOp(self.name, register, write, began, time.monotonic(), fate, **more))


class Reader(Client):
    """Reads its registers in turn, ten times a second, each time over a new connection."""

    def run(self) -> None:
        """Read until stopped."""
        turn = 0
        while not self._over.is_set():
            next_at = time.monotonic() + READ_INTERVAL
            self.read(self._registers[turn % len(self._registers)])
            self._hang_up()
            turn += 1
            self._over.wait(max(0.0, next_at - time.monotonic()))


class Writer(Client):
    """Counts its one register up; reads before it goes on after every write that was not acknowledged."""

    def run(self) -> None:
        """Write until stopped."""
        (register,) = self._registers
        item, number = self.read(register), 0
        while not self._over.is_set():
            next_at = time.monotonic() + WRITE_INTERVAL
            if item is None:
                item = self.read(register)
            else:
                number += 1
                item = self._write(register, item, number)
            self._over.wait(max(0.0, next_at - time.monotonic()))

    def _write(self, register: str, item: dict[str, Any], number: int) -> dict[str, Any] | None:
        """Replace the state that `item` shows; the new object, None when it must be read anew."""
        value = f"{count(value_of(item)) + 1}:{self.name}-{number}"
        base = version_of(item)
        body = register_object(register, value)
        body["metadata"] |= {"resourceVersion": str(base)}
        began = time.monotonic()
        try:
            written = self._ask("PUT", register, WRITE_SECONDS, body)
        except (Answered, Unanswered) as error:
            fate = Fate.REFUSED if isinstance(error, Answered) else Fate.UNKNOWN
            self._note(register, began, fate, write=True, value=value, base=base, note=str(error))
            return None
        self._note(register, began, Fate.OK, write=True, value=value, base=base, version=version_of(written))
        return written


class Watcher(Client):
    """Watches all registers from a version on; resumes at the last version when the watch breaks.

    When every API server began anew, none knows any more what came after that version (status 410, Gone).
    Then it resyncs: it lists and watches from the list's version on, as Kubernetes' informers do, and notes
    which versions the list stands for.
    """

    def __init__(self, name: str, door: Endpoint, since: int) -> None:
        super().__init__(name, door, ())
        self.since = since
        self.events: list[WatchEvent] = []
        self.listed: list[tuple[int, int]] = []
        """After which version and up to which each list told the state, and not every event."""
        self.expired = ""
        """What the API said when it would neither go on nor list."""
        self._at = since

    def stop(self) -> None:
        """End at once: between two events it would listen until its patience is over."""
        self._over.set()
        connection = self._connection
        if connection and connection.sock:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        super().stop()

    def run(self) -> None:
        """Watch until stopped."""
        while not self._over.is_set() and not self.expired:
            try:
                self._follow()
            except Answered as error:
                self.expired = str(error)
            except (Unanswered, OSError, http.client.HTTPException, ValueError):
                self._over.wait(READ_INTERVAL)
            self._hang_up()

    def _follow(self) -> None:
        try:
            self._listen(f"{self._door.collection}?watch=1&timeoutSeconds=600&resourceVersion={self._at}")
        except Gone:
            self._hang_up()
            self._list()

    def _listen(self, path: str) -> None:
        answer = self._send("GET", path, WATCH_SILENCE)
        while not self._over.is_set():
            line = answer.readline()
            if not line:
                return
            told = json.loads(line)
            item = told["object"]
            if told["type"] == "ERROR":
                if item.get("code") == 410:
                    raise Gone(item["message"])
                raise Unanswered(item.get("message", ""))
            self._note_state(item)

    def _list(self) -> None:
        """Resync by a quorum read: a list without a version is answered by etcd, not by a server's cache."""
        told = json.loads(self._send("GET", self._door.collection, WATCH_SILENCE).read())
        before, now = self._at, version_of(told)
        for item in sorted(told["items"], key=version_of):
            if version_of(item) > before:
                self._note_state(item)
        self.listed.append((before, now))
        self._at = now

    def _note_state(self, item: dict[str, Any]) -> None:
        if KEY in item.get("data", {}):  # a namespace holds ConfigMaps of Kubernetes' own too
            self.events.append(
                WatchEvent(item["metadata"]["name"], time.monotonic(), version_of(item), value_of(item))
            )
            self._at = version_of(item)


def register_object(name: str, value: str = EMPTY) -> dict[str, Any]:
    """A register as an object."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {KEY: value}}


def value_of(item: dict[str, Any]) -> str:
    """The value of a register."""
    return str(item["data"][KEY])


def version_of(item: dict[str, Any]) -> int:
    """The version of an object: etcd's revision of it, which is a number (KEP 5504)."""
    return int(item["metadata"]["resourceVersion"])
