"""Fetching files over HTTP: resumed, checked, and only then given a name.

`requests` brings proxies (`HTTPS_PROXY`, `NO_PROXY`), passwords (`~/.netrc`, never sent on to another host)
and certificates. Trusted is what this machine trusts, an authority of one's own included.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from filelock import FileLock
from requests import Response, Session

from lab.artifacts import programs
from lab.artifacts.digests import file_digest
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
from lab.artifacts.store import Say, flush
from lab.catalogue.load import line_of

# Seconds without a byte that end a try.
SILENCE = 30.0
# A progress line at most this often, in seconds.
QUIET = 5.0
PIECE = 1 << 20
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
        flush(part)
        part.rename(target)


def can_be_had(url: str, seconds: float) -> bool:
    """Whether the first byte of a file can be had within so many seconds."""
    try:
        with (
            session() as opened,
            opened.get(url, headers={"Range": "bytes=0-0"}, stream=True, timeout=seconds) as answer,
        ):
            return answer.ok
    except requests.RequestException:
        return False


def session() -> Session:
    """An HTTP session that trusts what this machine trusts (requests alone brings a list of its own)."""
    made = Session()
    made.headers.update({"User-Agent": "plumbline", "Accept-Encoding": "identity"})
    paths = ssl.get_default_verify_paths()  # SSL_CERT_FILE and SSL_CERT_DIR, or what the system has
    made.verify = paths.cafile or (BUNDLE if Path(BUNDLE).exists() else paths.capath) or True
    return made


def _attempt(opened: Session, url: str, sha256: str, part: Path, say: Say) -> Trouble | None:
    resumed = part.exists()
    if trouble := _receive(opened, url, sha256, part, say):
        return trouble
    got = file_digest(part)
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


def _receive(opened: Session, url: str, sha256: str, part: Path, say: Say) -> Trouble | None:
    """Receive what is missing of a file; gives back what went wrong."""
    have = part.stat().st_size if part.exists() else 0
    ranged = {"Range": f"bytes={have}-"} if have else {}
    try:
        with opened.get(url, headers=ranged, stream=True, timeout=SILENCE) as answer:
            if answer.status_code == 416:
                return None  # nothing is missing: the digest decides whether the part is the file
            if not answer.ok:
                return _refused(answer, sha256)
            piece = answer.headers.get("Content-Range", "")
            if answer.status_code == 206 and not piece.startswith(f"bytes {have}-"):
                return Trouble(f"answered with the wrong part: {piece}")
            return _write(answer, _Aim(url, part, have if answer.status_code == 206 else 0), say)
    except requests.RequestException as error:
        return unreached(str(error))


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


def _write(answer: Response, aim: _Aim, say: Say) -> Trouble | None:
    """Write the answer's body; gives back why there is no more of it, if it is not all there."""
    expected = _expected(answer.headers, aim.start)
    pace, said = Pace(), time.monotonic()
    with aim.part.open("r+b" if aim.start else "wb") as out:
        out.seek(aim.start)
        out.truncate()
        while True:
            try:
                # what has come so far and not the whole piece: a slow server is noticed, and Ctrl-C
                piece = answer.raw.read1(PIECE)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                at = f"at byte {out.tell()}" + (f" of {expected}" if expected else "")
                if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
                    return Trouble(f"no byte for {SILENCE:.0f} s, {at}", LATER)
                return Trouble(f"cut {at}")
            if not piece:
                break
            out.write(piece)
            programs.still_wanted(aim.url)
            if slow := pace.slow(out.tell()):
                return Trouble(slow, LATER)
            if time.monotonic() - said >= QUIET:
                said = time.monotonic()
                say(f"{aim.url}: {out.tell() / 1e6:.0f} MB")
        if expected is not None and out.tell() < expected:
            return Trouble(f"cut at byte {out.tell()} of {expected}")
    return None


def _expected(headers: Mapping[str, str], start: int) -> int | None:
    """The size of the whole file in bytes, if the server says it."""
    return start + int(headers["Content-Length"]) if "Content-Length" in headers else None
