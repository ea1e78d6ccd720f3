"""What fetching makes of an error that does not come from the server; no socket is opened."""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from requests import Session
from requests.adapters import HTTPAdapter

from lab.artifacts import programs
from lab.artifacts.sources.fetch import can_be_had, fetch, session
from lab.errors import FailedError

URL = "https://dl.example/kubelet"
NO_BUNDLE = "Could not find a suitable TLS CA certificate bundle, invalid path: /no"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, OSError]:
    """The error of every request; there is none before one is set."""
    held: dict[str, OSError] = {}

    def get(*_given: Any, **_named: Any) -> None:
        raise held["error"]

    monkeypatch.setattr(Session, "get", get)
    return held


def quiet(_line: str) -> None:
    """Nobody reads it."""


def test_a_bundle_of_authorities_that_is_not_there_is_told_at_once(
    tmp_path: Path, failing: dict[str, OSError]
) -> None:
    failing["error"] = OSError(NO_BUNDLE)
    with pytest.raises(
        FailedError, match=f"^{URL}: SSL_CERT_FILE, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file"
    ) as told:
        fetch(URL, "0" * 64, tmp_path / "kubelet", say=quiet)
    assert "tries" not in told.value.message
    assert not can_be_had(URL, 1)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
def test_a_proxys_own_certificate_is_verified_by_what_requests_hands_on(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A context that is given replaces what the connection to an https proxy would have trusted."""
    for other in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(other, raising=False)
    assert type(session().get_adapter(URL)) is not HTTPAdapter
    monkeypatch.setenv(name, "https://proxy.example:4444")
    assert type(session().get_adapter(URL)) is HTTPAdapter


def test_a_file_and_a_folder_of_authorities_are_those_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert session().verify == str(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone"))
    assert session().verify == str(tmp_path / "gone"), "so it is told that there is none"


def test_a_full_disk_is_no_trouble_of_the_server(tmp_path: Path, failing: dict[str, OSError]) -> None:
    failing["error"] = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as told:
        fetch(URL, "0" * 64, tmp_path / "kubelet", say=quiet)
    assert told.value.errno == errno.ENOSPC


class Quick:
    """An answer's body: one piece, then what the kernel still had of a connection that was shut meanwhile."""

    def __init__(self, last: bytes | Exception) -> None:
        self.pieces: list[bytes | Exception] = [b"true", last]

    def read1(self, _size: int) -> bytes:
        piece = self.pieces.pop(0)
        if not self.pieces:
            programs.stop_all()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def shutdown(self) -> None:
        """What ends it has no more to end."""


@pytest.mark.parametrize("last", [b"\x17\x03\x03", ValueError("Read on closed or unwrapped SSL socket.")])
def test_nothing_that_comes_after_the_end_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bytes | Exception
) -> None:
    answer = SimpleNamespace(status_code=200, ok=True, headers={}, raw=Quick(last))
    monkeypatch.setattr(Session, "get", lambda *_given, **_named: nullcontext(answer))
    try:
        with pytest.raises(FailedError, match="the work is being stopped"):
            fetch(URL, "0" * 64, tmp_path / "kubelet", say=quiet)
    finally:
        programs.start_anew()
    assert (tmp_path / "kubelet.part").read_bytes() == b"true"
