"""Upstream on loopback: a real registry and a server of files, which behave badly on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.artifacts import programs
from lab.artifacts.store import Store
from tests.doubles.upstream.servers import Upstream
from tests.integration.artifacts.shelf import Shelf


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """All servers, trusted by this process as people trust an authority of their own."""
    programs.start_anew()
    with Upstream(tmp_path / "upstream") as made:
        for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv("SSL_CERT_FILE", str(made.keys.certificate_file))
        yield made


class Site:
    """The server of files: what it holds, and what it was asked."""

    def __init__(self, upstream: Upstream) -> None:
        self.day = upstream.day
        self.url = f"https://{upstream.host('files')}"
        self.folder = upstream.folder / "files"

    def put(self, path: str, content: bytes) -> str:
        """Add a file; gives its sha256."""
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for."""
        return [path for _, path, _, _ in self.day.asked]

    def starts(self, path: str) -> list[str]:
        """The Range header of every request for a path."""
        return [ranged for _, name, ranged, _ in self.day.asked if name == path]


@pytest.fixture
def site(upstream: Upstream) -> Site:
    return Site(upstream)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which are noted and not waited for."""
    waits: list[float] = []
    monkeypatch.setattr("lab.artifacts.programs.pause", waits.append)
    return waits


@pytest.fixture
def shelf(upstream: Upstream, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Shelf(upstream, store, tmp_path)
