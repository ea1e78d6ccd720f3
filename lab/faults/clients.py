"""Clients that go on working while a machine dies: a reader and a writer of one ConfigMap.

Both go through the balancer; each has one operation in flight and records all of them. The reader opens a
new connection for every request, ten times a second; the writer appends with compare-and-set over a
connection it keeps as long as it works, as real controllers do.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from typing import Any

from lab.verify.history import Fate, Operation

READ_INTERVAL = 0.1
READ_SECONDS = 1.0
WRITE_INTERVAL = 0.05
WRITE_SECONDS = 2.0

KEY = "log"


class Unanswered(Exception):
    """No answer, or one that leaves open whether the operation happened."""


class Answered(Exception):
    """An answer that says no for certain."""


class Client(threading.Thread):
    """One client of the ConfigMap at `path` on `host`:`port`; runs until `stop`."""

    def __init__(self, name: str, host: str, port: int, tls: ssl.SSLContext, path: str) -> None:
        super().__init__(name=name, daemon=True)
        self.history: list[Operation] = []
        self._host, self._port, self._tls, self._path = host, port, tls, path
        self._over = threading.Event()
        self._connection: http.client.HTTPSConnection | None = None

    def stop(self) -> list[Operation]:
        """End after the operation in flight; everything it did."""
        self._over.set()
        self.join(WRITE_SECONDS + 5)
        self._hang_up()
        return self.history

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _ask(self, method: str, seconds: float, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request. 4xx answers are certain; 5xx, 429 and silence are not."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=seconds, context=self._tls
            )
        try:
            self._connection.request(
                method,
                self._path,
                body=json.dumps(body) if body else None,
                headers={"Content-Type": "application/json"},
            )
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            raise Unanswered(f"{type(error).__name__}: {error}") from error
        if answer.status >= 400:
            said = f"{answer.status}: {text[:200].decode(errors='replace')}"
            if 400 <= answer.status < 500 and answer.status != 429:
                raise Answered(said)
            raise Unanswered(said)
        found: dict[str, Any] = json.loads(text)
        return found

    def read(self) -> dict[str, Any] | None:
        """Read the list and note it; the object, None without an answer."""
        began = time.monotonic()
        try:
            item = self._ask("GET", READ_SECONDS)
        except (Unanswered, Answered) as error:
            self._note(began, Fate.UNKNOWN, note=str(error))
            return None
        self._note(began, Fate.OK, seen=numbers(item))
        return item

    def _note(
        self,
        began: float,
        fate: Fate,
        *,
        number: int | None = None,
        seen: tuple[int, ...] = (),
        note: str = "",
    ) -> None:
        self.history.append(Operation(self.name, began, time.monotonic(), fate, number, seen, note))


class Reader(Client):
    """Reads ten times a second, each time over a new connection."""

    def run(self) -> None:
        """Read until stopped."""
        while not self._over.is_set():
            next_at = time.monotonic() + READ_INTERVAL
            self.read()
            self._hang_up()
            self._over.wait(max(0.0, next_at - time.monotonic()))


class Writer(Client):
    """Appends the next number with compare-and-set; after an unanswered write it reads before it goes on."""

    def run(self) -> None:
        """Write until stopped."""
        item, number = self.read(), 0
        while not self._over.is_set():
            next_at = time.monotonic() + WRITE_INTERVAL
            if item is None:
                item = self.read()
            else:
                number += 1
                item = self._append(item, number)
            self._over.wait(max(0.0, next_at - time.monotonic()))

    def _append(self, item: dict[str, Any], number: int) -> dict[str, Any] | None:
        """Append to the list as `item` holds it; the new object, None when it must be read anew."""
        meta = item["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {key: meta[key] for key in ("name", "namespace", "resourceVersion")},
            "data": {KEY: ",".join(map(str, (*numbers(item), number)))},
        }
        began = time.monotonic()
        try:
            written = self._ask("PUT", WRITE_SECONDS, body)
        except Answered as error:
            self._note(began, Fate.REFUSED, number=number, note=str(error))
            return None
        except Unanswered as error:
            self._note(began, Fate.UNKNOWN, number=number, note=str(error))
            return None
        self._note(began, Fate.OK, number=number)
        return written


def numbers(item: dict[str, Any]) -> tuple[int, ...]:
    """The list in a ConfigMap."""
    text = item.get("data", {}).get(KEY, "")
    return tuple(int(part) for part in text.split(",") if part)
