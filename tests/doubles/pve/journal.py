"""Everything that was asked of the double and everything that it did, for a test to judge."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Request:
    """One request. `status` is 0 while it is answered and -1 when the connection was dropped instead.

    `at` and `ended` are seconds of the double's clock.
    """

    at: float
    method: str
    path: str
    parameters: Mapping[str, str]
    user: str = ""
    status: int = 0
    message: str = ""
    ended: float = 0.0

    def __str__(self) -> str:
        return f"{self.method} {self.path} {dict(self.parameters)} -> {self.status} {self.message}"


@dataclass(frozen=True)
class Change:
    """One thing that became different: what (`vm created`, `vm started`, `volume freed`, ...) and whose."""

    at: float
    what: str
    whose: str


@dataclass
class Journal:
    """Requests and changes in their order."""

    requests: list[Request] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    most_in_flight: int = 0
    _in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, request: Request) -> None:
        """A request has come in."""
        with self._lock:
            self.requests.append(request)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)

    def end(self, request: Request, status: int, message: str, at: float) -> None:
        """It is answered, or dropped."""
        with self._lock:
            request.status, request.message, request.ended = status, message, at
            self._in_flight -= 1

    def changed(self, at: float, what: str, whose: str) -> None:
        """Something is different now."""
        self.changes.append(Change(at, what, whose))

    def asked(self, method: str, path: str = ".*", **parameters: str) -> list[Request]:
        """Requests of a method whose whole path matches a pattern and which had these parameters."""
        return [
            request
            for request in self.requests
            if request.method == method
            and re.fullmatch(path, request.path)
            and all(request.parameters.get(name) == value for name, value in parameters.items())
        ]

    def happened(self, what: str, whose: str = "") -> list[Change]:
        """Changes of a kind, of one owner if given."""
        return [change for change in self.changes if change.what == what and whose in ("", change.whose)]

    def writes(self) -> list[Request]:
        """Requests that may change something, without logging in."""
        return [
            request
            for request in self.requests
            if request.method != "GET" and request.path != "/access/ticket"
        ]

    def repeated(self) -> list[Request]:
        """Writes that were accepted more than once with the same words; tasks of a VM's power excepted."""
        seen: set[tuple[str, str, tuple[tuple[str, str], ...]]] = set()
        again = []
        for request in self.writes():
            if request.status not in (-1, 200) or "/status/" in request.path:
                continue
            key = (request.method, request.path, tuple(sorted(request.parameters.items())))
            if key in seen:
                again.append(request)
            seen.add(key)
        return again
