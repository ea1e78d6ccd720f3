"""Running `skopeo` against a registry, and what its errors mean."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from lab import proxies
from lab.artifacts import programs
from lab.artifacts.sources.trouble import (
    BUILD_HERE,
    LATER,
    PATIENT_TRIES,
    Pace,
    Trouble,
    persevere,
    unreached,
)
from lab.artifacts.store import Say
from lab.catalogue.load import line_of
from lab.errors import CommandError, FailedError, PreflightError

PROGRAM = "skopeo"
COMMAND_NOT_FOUND = 127
# What it waits when a registry answers 429; it does so five times before it gives up.
SLEEPING = re.compile(r"Too many requests to (\S+): sleeping for ([\d.]+) seconds")
FATAL = re.compile(r'level=fatal msg=("(?:[^"\\]|\\.)*")')
# What it says of a manifest, of an image's config and of a layer that is not what its digest says.
WANTED = re.compile(
    r"(?:not match provided manifest digest|not match expected|not match, expected) (sha256:\w+)"
)
GOT = re.compile(r"(?:got|config.json digest) (sha256:\w+)")
# Its writer: a file for standard output, which must not be mixed with what it says.
INTO = ("sh", "-c", 'exec "$@" > "$0"')


class NoSuchImageError(FailedError):
    """The registry answers, and does not have the image."""


def skopeo(where: str, arguments: Sequence[str], *, into: Path, log: Path, say: Say) -> None:
    """Run skopeo until it succeeds or trying again is of no use.

    `where` is what people call the image; `into` the folder that it fills, or a file for its output.
    Raises `FailedError` with `where`, what was seen and the next step, `NoSuchImageError` when the image is
    not there, `PreflightError` when it is not installed.
    """
    command = [PROGRAM, "--debug", *arguments]
    if "inspect" in arguments:
        command = [*INTO, str(into), *command]
    persevere(where, lambda: _attempt(where, command, into, log, say), say=say)


def _attempt(where: str, command: Sequence[str], into: Path, log: Path, say: Say) -> Trouble | None:
    pace = Pace()

    def line(text: str) -> None:
        if found := SLEEPING.search(text):
            seconds = float(found[2])
            pace.wait(seconds)
            say(f"{where}: HTTP 429, the registry asks to wait {seconds:.0f} s")

    try:
        programs.run(
            command,
            log=log,
            cwd=log.parent,
            env={**os.environ, **proxies.settings()},
            each_line=line,
            watch=lambda: pace.slow(written(into)),
        )
    except CommandError as error:
        programs.still_wanted(where)
        return meaning(where, error)
    return None


def written(into: Path) -> int:
    """Bytes below a folder, or of a file, that is being written at this moment."""
    total = 0
    for path in (into, *into.glob("*")):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # it has just got its name
    return total


def meaning(where: str, error: CommandError) -> Trouble:
    """What a failed run means. Raises `NoSuchImageError` and `PreflightError`."""
    fatal = FATAL.findall(error.output)
    # the last line is ours when the transfer was too slow, or the shell's
    text: str = json.loads(fatal[-1]) if fatal else error.output.strip().splitlines()[-1]
    if error.code == COMMAND_NOT_FOUND or f"{PROGRAM}: No such file" in error.output:
        raise PreflightError(f"{PROGRAM}: not installed", next_step="apt-get install skopeo")
    status, host = _status(text), where.partition("/")[0]
    if status == HTTPStatus.NOT_FOUND:
        raise NoSuchImageError(f"{where}: the registry has no such image")
    if status >= 500:
        return Trouble(_http(status, text), LATER, PATIENT_TRIES)
    if status in _STEPS:
        step, tries = _STEPS[status]
        return Trouble(_http(status, text), step.format(host=host), tries)
    if "no space left on device" in text:
        return Trouble("the disk is full", "df -h; free some space, or PLUMBLINE_CACHE=/another/folder", 1)
    if found := re.search(r'no image found in .* for architecture "?(\w+)', text):
        return Trouble(
            f"has no image for linux/{found[1]}",
            f"pin another version, {line_of(where.rpartition('@')[2])}; {BUILD_HERE}",
            1,
        )
    if wanted := WANTED.search(text):
        got = GOT.search(text)
        seen = f"wrong digest\n  wanted {wanted[1]}" + (f"\n  got    {got[1]}" if got else "")
        return Trouble(seen, f"do not use that image; {BUILD_HERE}", 1)
    return unreached(text)


_STEPS = {
    401: ("skopeo login {host}; or REGISTRY_AUTH_FILE=/home/NAME/.docker/config.json", 1),
    403: (f"check proxy and firewall of this network; skopeo login {{host}}; {BUILD_HERE}", 1),
    429: (f"run it again in an hour; skopeo login {{host}} raises the limit; {BUILD_HERE}", PATIENT_TRIES),
}
# What it says in place of a status: the error codes of registries (distribution, spec/api: errors-2).
_CODES = {
    404: r"manifest unknown|name unknown|repository name not known",
    401: r"unauthorized|authentication required",
    403: r"(?<!permission )denied: ",
    429: r"too ?many ?requests",
}


def _status(text: str) -> int:
    """The HTTP status that skopeo saw, 0 if it saw none."""
    if found := re.search(r"(?:status code from registry|HTTP status:|status code:?) (\d{3})\b", text):
        return int(found[1])
    return next((status for status, code in _CODES.items() if re.search(code, text, re.IGNORECASE)), 0)


def _http(status: int, text: str) -> str:
    """A status in words, with what the server said of it if it said more than that."""
    said = text.rpartition(": ")[2][:300]  # what is before it names the address again
    more = "" if str(status) in said else f": {said}"
    phrase = f" {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else ""
    return f"HTTP {status}{phrase}{more}"
