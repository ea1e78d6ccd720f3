"""Fetching files over HTTP: resumed, checked, and only then given a name."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from lab.artifacts.digests import file_digest
from lab.artifacts.store import Say, flush
from lab.errors import FailedError

# Tries of one file, each going on where the last one stopped.
TRIES = 4
# Seconds without a byte that end a try.
SILENCE = 30.0
# Answers after which trying again can help; every other refusal is final.
PASSING = (408, 429, 500, 502, 503, 504)
# A progress line at most this often, in seconds.
QUIET = 5.0
PIECE = 1 << 20


def fetch(url: str, sha256: str, target: Path, *, say: Say, headers: Mapping[str, str] | None = None) -> None:
    """Fetch `url` into `target`, which appears only when its sha256 is right.

    A cut connection is resumed at the byte where it was cut, by the next run too: the part lies beside
    `target`. A complete file with another digest is thrown away. Two processes never write one part.
    Raises `FailedError` naming the URL, and what was wanted and got.
    """
    with FileLock(target.with_name(f"{target.name}.lock")):
        if not target.exists() or file_digest(target) != sha256:
            _fetch(url, sha256, target, headers or {}, say)


def _fetch(url: str, sha256: str, target: Path, headers: Mapping[str, str], say: Say) -> None:
    part = target.with_name(f"{target.name}.part")
    trouble = ""
    for attempt in range(TRIES):
        if attempt:
            say(f"{url}: {trouble}, trying again")
            # Waiting doubles from half a second: a server that refused just now needs a moment.
            time.sleep(0.25 * 2**attempt)
        resumed = part.exists()
        trouble = _receive(url, part, headers, say)
        if trouble:
            continue
        got = file_digest(part)
        if got == sha256:
            flush(part)
            part.rename(target)
            return
        part.unlink()
        if not resumed:
            raise FailedError(
                f"{url}: wrong digest\n  wanted sha256 {sha256}\n  got    sha256 {got}",
                next_step="do not use that file; run it again, or take the other source: --source modules",
            )
        trouble = "the part from an earlier try belongs to another file"
    raise FailedError(
        f"{url}: {trouble} ({TRIES} tries)", next_step="run it again: it goes on where it stopped"
    )


def request(url: str, headers: Mapping[str, str], *, seconds: float = SILENCE) -> http.client.HTTPResponse:
    """Open a URL. Raises `urllib.error.HTTPError` for a refusal, `OSError` when there is no answer."""
    asked = urllib.request.Request(url, headers={"User-Agent": "plumbline", **headers})
    answer = urllib.request.urlopen(asked, timeout=seconds)
    if not isinstance(answer, http.client.HTTPResponse):
        raise FailedError(f"{url}: is no address of HTTP", next_step="correct it in artifacts/catalogue.yaml")
    return answer


def _receive(url: str, part: Path, headers: Mapping[str, str], say: Say) -> str:
    """Receive what is missing of a file; gives back what went wrong, "" if it is all there."""
    have = part.stat().st_size if part.exists() else 0
    ranged = {"Range": f"bytes={have}-"} if have else {}
    try:
        with request(url, {**headers, **ranged}) as answer:
            if answer.status == 206 and not answer.headers["Content-Range"].startswith(f"bytes {have}-"):
                return f"answered with the wrong part: {answer.headers['Content-Range']}"
            start = have if answer.status == 206 else 0
            expected = answer.headers["Content-Length"]
            size = _write(answer, part, start, url, say)
            if expected is not None and size < start + int(expected):
                return f"cut at byte {size} of {start + int(expected)}"
            return ""
    except urllib.error.HTTPError as error:
        if error.code == 416:
            # Nothing is missing: the digest decides whether the part is the file.
            return ""
        if error.code in PASSING:
            return f"HTTP {error.code} {error.reason}"
        raise FailedError(
            f"{url}: HTTP {error.code} {error.reason}",
            next_step="check version and URL in artifacts/catalogue.yaml, or use --source modules",
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return f"{type(error).__name__}: {reason}"


def _write(answer: http.client.HTTPResponse, part: Path, start: int, url: str, say: Say) -> int:
    """Write the answer's body at `start`; the size of the file when the connection ended."""
    said = time.monotonic()
    with part.open("r+b" if start else "wb") as out:
        out.seek(start)
        out.truncate()
        while piece := answer.read(PIECE):
            out.write(piece)
            if time.monotonic() - said >= QUIET:
                said = time.monotonic()
                say(f"{url}: {out.tell() / 1e6:.0f} MB")
        return out.tell()
