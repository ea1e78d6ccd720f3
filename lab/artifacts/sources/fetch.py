"""Fetching files over HTTP: resumed, checked, and only then given a name.

`requests` brings proxies (`HTTPS_PROXY`, `NO_PROXY`), passwords (`~/.netrc`, never sent on to another host)
and certificates. Trusted is what this machine trusts, an authority of one's own included.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import requests
import urllib3
from filelock import FileLock
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from lab.artifacts import programs
from lab.artifacts.digests import PIECE, DigestingWriter, file_digest
from lab.artifacts.sources.trouble import (
    BUILD_HERE,
    LATER,
    LONGEST_WAIT,
    Pace,
    Trouble,
    asked_wait,
    persevere,
    refused,
    too_long,
    unreached,
)
from lab.artifacts.store import Say
from lab.catalogue.load import line_of

# Seconds without a byte that end a try.
SILENCE = 30.0
# A progress line at most this often, in seconds.
QUIET = 5.0
# The longest record of TLS, in bytes (RFC 8446, 5.1): more than that is never received at a time.
RECORD = 1 << 14
# What update-ca-certificates writes, and what skopeo reads.
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def fetch(url: str, sha256: str, target: Path, *, say: Say) -> None:
    """Fetch `url` into `target`, which appears only when its sha256 is right.

    A cut connection is resumed at the byte where it was cut, by the next run too: the part lies beside
    `target`. A complete file with another digest is thrown away. Two processes never write one part.
    Raises `FailedError` naming the URL, and what was wanted and got.
    """
    part = target.with_name(f"{target.name}.part")
    with FileLock(target.with_name(f"{target.name}.lock")), session() as opened:
        if target.exists() and file_digest(target) == sha256:
            return
        persevere(url, lambda: _attempt(opened, url, sha256, part, say), say=say)
        part.rename(target)


def can_be_had(url: str, seconds: float) -> bool:
    """Whether the first byte of a file can be had within so many seconds."""
    try:
        with (
            session() as opened,
            opened.get(url, headers={"Range": "bytes=0-0"}, stream=True, timeout=seconds) as answer,
        ):
            return answer.ok
    except OSError:  # all of requests' own, and a bundle of authorities that is not there
        return False


def session() -> Session:
    """An HTTP session that trusts what this machine trusts (requests alone brings a list of its own)."""
    made = Session()
    made.headers.update({"User-Agent": "plumbline", "Accept-Encoding": "identity"})
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    paths = ssl.get_default_verify_paths()
    made.verify = named or (BUNDLE if Path(BUNDLE).exists() else paths.cafile or paths.capath) or True
    # a proxy may have a certificate of its own, which is verified by what requests hands on
    if not {"https", "all"} & set(getproxies()):
        made.mount("https://", _Adapter())
    return made


@cache
def _context(authorities: str) -> ssl.SSLContext:
    """What trusts the authorities of a file, or of a folder with names made of their hashes."""
    try:
        if Path(authorities).is_dir():
            return ssl.create_default_context(capath=authorities)
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise requests.exceptions.SSLError(f"{authorities}: holds no PEM certificates: {error}") from error


class _Adapter(HTTPAdapter):
    """Connections that share what they trust: reading a system's authorities takes 60 ms, and requests does
    so for every host of every session."""

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: bool | str, cert: str | tuple[str, str] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, settings = super().build_connection_pool_key_attributes(request, verify, cert)
        if _kept(verify):
            settings = {
                key: value for key, value in settings.items() if key not in ("ca_certs", "ca_cert_dir")
            }
            settings["ssl_context"] = _context(str(verify))
        return host, settings

    def cert_verify(
        self, conn: Any, url: str, verify: bool | str, cert: str | tuple[str, str] | None
    ) -> None:
        # it would have each connection read them once more
        if not _kept(verify):
            super().cert_verify(conn, url, verify, cert)


def _kept(verify: bool | str) -> bool:
    """Whether it names authorities; of a place where there are none requests tells."""
    return isinstance(verify, str) and Path(verify).exists()


def _attempt(opened: Session, url: str, sha256: str, part: Path, say: Say) -> Trouble | None:
    resumed = part.exists()
    got = _receive(opened, url, sha256, part, say)
    if isinstance(got, Trouble):
        return got
    if got == sha256:
        return None
    part.unlink()
    if resumed:
        return Trouble("the part from an earlier try belongs to another file")
    return Trouble(
        f"wrong digest\n  wanted sha256 {sha256}\n  got    sha256 {got}",
        f"do not use that file; {BUILD_HERE}; if the project says that it was replaced, pin the new one, "
        f"{line_of(sha256)}",
        1,
    )


def _receive(opened: Session, url: str, sha256: str, part: Path, say: Say) -> str | Trouble:
    """Receive what is missing of a file; gives its sha256, or what went wrong."""
    have = part.stat().st_size if part.exists() else 0
    ranged = {"Range": f"bytes={have}-"} if have else {}
    try:
        with opened.get(url, headers=ranged, stream=True, timeout=SILENCE) as answer:
            if answer.status_code == 416:
                return file_digest(part)  # nothing is missing: the digest decides whether it is the file
            if not answer.ok:
                return _refused(answer, sha256)
            piece = answer.headers.get("Content-Range", "")
            if answer.status_code == 206 and not piece.startswith(f"bytes {have}-"):
                return Trouble(f"answered with the wrong part: {piece}")
            with programs.stopped_by(partial(_shut, answer), url):
                return _write(answer, _Aim(url, part, have if answer.status_code == 206 else 0), say)
    except requests.RequestException as error:
        return unreached(str(error))
    except OSError as error:
        # what requests says of a bundle of authorities that is not there; a full disk has a number
        if error.errno:
            raise
        return unreached(str(error))


def _shut(answer: Response) -> None:
    """End the connection for whoever reads from it."""
    # who has read it all has given it back, and a proxy's may be shut by the proxy alone
    with suppress(OSError, RuntimeError, ValueError):
        answer.raw.shutdown()


def _refused(answer: Response, sha256: str) -> Trouble:
    wait = asked_wait(answer.headers)
    trouble = refused(answer.status_code, line_of(sha256), wait=wait)
    return too_long(wait, trouble.seen) if wait is not None and wait > LONGEST_WAIT else trouble


@dataclass(frozen=True)
class _Aim:
    """What is received, into which file, from which byte."""

    url: str
    part: Path
    start: int


def _write(answer: Response, aim: _Aim, say: Say) -> str | Trouble:
    """Write the answer's body; gives the sha256 of the file, or why it is not all there."""
    expected = _expected(answer.headers, aim.start)
    pace, said = Pace(), time.monotonic()
    with aim.part.open("r+b" if aim.start else "wb") as file:
        out = DigestingWriter(file)
        if aim.start:
            out.resume()
        whole = False
        while True:
            asked = time.monotonic()
            try:
                # of a slow server what has come so far, so that its pace is seen; of a quick one a whole
                # piece, since each record of TLS would cost what a piece costs
                piece = answer.raw.read(PIECE) if whole else answer.raw.read1(PIECE)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                # ValueError: of a connection that `_shut` has ended
                programs.still_wanted(aim.url)
                at = f"at byte {out.tell()}" + (f" of {expected}" if expected else "")
                if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
                    return Trouble(f"no byte for {SILENCE:.0f} s, {at}", LATER)
                return Trouble(f"cut {at}")
            # before it is written: of a connection that `_shut` has ended, TLS is handed on as it came
            programs.still_wanted(aim.url)
            if not piece:
                break
            whole = len(piece) >= RECORD and time.monotonic() - asked < 1
            out.write(piece)
            if slow := pace.slow(out.tell()):
                return Trouble(slow, LATER)
            if time.monotonic() - said >= QUIET:
                said = time.monotonic()
                say(f"{aim.url}: {out.tell() / 1e6:.0f} MB")
        if expected is not None and out.tell() < expected:
            return Trouble(f"cut at byte {out.tell()} of {expected}")
        return out.sha256


def _expected(headers: Mapping[str, str], start: int) -> int | None:
    """The size of the whole file in bytes, if the server says it."""
    return start + int(headers["Content-Length"]) if "Content-Length" in headers else None
