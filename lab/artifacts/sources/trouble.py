"""What goes wrong on the way to other people's servers: in plain words, with what to do about it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from lab import proxies
from lab.artifacts import programs
from lab.artifacts.store import Say
from lab.errors import FailedError

# How often a thing is tried whose connection fails, and one whose server answers that it should be asked
# later: 1+2+4+8+16+32 s lie between seven tries, so a server may refuse for a minute.
TRIES, PATIENT_TRIES = 4, 7
# The longest wait that a server may ask for, in seconds; a longer one is for a person to decide.
LONGEST_WAIT = 120.0
# Fewer bytes a second than this over so many seconds end a try: at that pace kubelet takes five hours.
FLOOR, WINDOW = 4096, 60.0

BUILD_HERE = "or build it here: --source modules"
GO_ON = "run it again: it goes on where it stopped"
LATER = f"run it again later: it goes on where it stopped; {BUILD_HERE}"


@dataclass(frozen=True)
class Trouble:
    """What was seen, what to do about it, how many tries it is worth (1: the next one ends the same), and
    the wait before the next try (seconds; None: doubled each time)."""

    seen: str
    next_step: str = GO_ON
    tries: int = TRIES
    wait: float | None = None


def persevere(address: str, attempt: Callable[[], Trouble | None], *, say: Say) -> None:
    """Retry with backoff. Raises `FailedError` with address, what was seen and the next step."""
    tried = 0
    while trouble := attempt():
        tried += 1
        if tried >= trouble.tries:
            often = f" ({tried} tries)" if tried > 1 else ""
            raise FailedError(f"{address}: {trouble.seen}{often}", next_step=trouble.next_step)
        wait = trouble.wait if trouble.wait is not None else 0.5 * 2**tried
        say(f"{address}: {trouble.seen}, trying again in {wait:.0f} s")
        programs.pause(wait)


class Pace:
    """Notices a transfer that goes on but does not get anywhere."""

    def __init__(self) -> None:
        self._since, self._had = time.monotonic(), -1

    def wait(self, seconds: float) -> None:
        """Expect nothing for so long."""
        self._since, self._had = time.monotonic() + seconds, -1

    def slow(self, size: int) -> str:
        """What to say of a transfer that has `size` bytes by now, "" while it is quick enough."""
        seconds = time.monotonic() - self._since
        if self._had < 0:
            self._had = size
        if seconds < WINDOW:
            return ""
        gained = max(0, size - self._had)
        self._since, self._had = time.monotonic(), size
        if gained >= FLOOR * seconds:
            return ""
        return f"only {gained / seconds / 1000:.1f} kB/s for {seconds:.0f} s"


def refused(status: int, where: str, *, wait: float | None = None) -> Trouble:
    """What a refusing HTTP status means; `where` is the file's line in the catalogue, "" for none."""
    seen = f"HTTP {status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else f"HTTP {status}"
    if status in (408, 425, 429) or status >= 500:
        return Trouble(seen, LATER, PATIENT_TRIES, wait)
    steps = {
        401: "write the password for that host into ~/.netrc",
        403: f"check proxy and firewall of this network, {BUILD_HERE}",
        407: f"{proxies.named()}=http://USER:PASSWORD@HOST:PORT",
    }
    return Trouble(
        seen, steps.get(status, f"check version and URL, {where or 'artifacts/'}; {BUILD_HERE}"), 1
    )


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait (RFC 9110, 10.2.3: a number or a date), None if it does not."""
    text = headers.get("Retry-After", "").strip()
    try:
        if text.isdigit():
            return float(text)
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()) if text else None
    except (ValueError, TypeError):  # no date, or one without a time zone
        return None


def too_long(wait: float, seen: str) -> Trouble:
    """A wait that is longer than `LONGEST_WAIT`."""
    return Trouble(
        f"{seen}, to be asked again in {wait:.0f} s",
        f"run it again in {wait / 60:.0f} minutes, {BUILD_HERE}",
        1,
    )


def meaning(text: str) -> Trouble | None:
    """The trouble with a connection that a text tells of, None when it tells of none that is known."""
    for pattern, seen, step, tries in _MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return Trouble(seen, step.format(proxy=proxies.named()), tries)
    return None


def unreached(text: str) -> Trouble:
    """What the text of a failed connection means, whoever wrote it: Python's ssl and urllib3, or Go."""
    if meant := meaning(text):
        return meant
    last = text.strip().splitlines()[-1][-300:] if text.strip() else "no answer"
    return Trouble(last, LATER)


# {proxy} is what the user has set
_PROXY = "check {proxy} and NO_PROXY"
_NETWORK = f"check the network, {_PROXY}, {BUILD_HERE}"
_MEANINGS = (
    (
        r"expired or is not yet valid|certificate has expired|certificate is not yet valid",
        f"its certificate is not valid on {datetime.now(UTC):%Y-%m-%d}, which this machine takes for today",
        "compare `date` with a clock: timedatectl set-ntp true",
        1,
    ),
    (
        r"unknown authority|self.signed certificate|unable to get local issuer",
        "its certificate is from an authority that this machine does not trust",
        "put the authority's certificate (PEM) into /usr/local/share/ca-certificates/NAME.crt, then "
        "update-ca-certificates",
        1,
    ),
    (
        r"doesn't match|hostname mismatch|certificate is valid for|not valid for any names",
        "its certificate is for another name",
        f"check the address; {_PROXY}",
        1,
    ),
    (
        r"Failed to parse: |Proxy URL had unsupported scheme|check proxy URL",
        "the address of the proxy cannot be read",
        "correct {proxy}: http://HOST:PORT",
        1,
    ),
    (
        r"holds no PEM certificates|NO_CERTIFICATE_OR_CRL_FOUND|PEM lib",
        "SSL_CERT_FILE, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file without certificates (PEM)",
        "correct or unset it",
        1,
    ),
    (
        r"Could not find a suitable TLS CA certificate bundle",
        "SSL_CERT_FILE, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file that does not exist",
        "unset it, or name the file of an authority",
        1,
    ),
    (
        # a SOCKS proxy that answers tells its errors by numbers of its own
        r"proxyconnect|ProxyError|Unable to connect to proxy|SOCKS\w*Connection\b.*\[Errno",
        "the proxy does not answer",
        _PROXY,
        TRIES,
    ),
    (
        r"no such host|name resolution|Name or service not known|NameResolutionError|server misbehaving"
        r"|No address associated|lookup \S+ on ",
        "its name cannot be resolved",
        f"check /etc/resolv.conf, {_PROXY}, {BUILD_HERE}",
        TRIES,
    ),
    (r"connection refused", "connection refused", _NETWORK, TRIES),
    (r"no route to host|network is unreachable", "there is no route to it", _NETWORK, TRIES),
    (
        r"timed out|i/o timeout|timeout exceeded|deadline exceeded|handshake timeout",
        "no answer in time",
        _NETWORK,
        TRIES,
    ),
    (
        r"\bEOF\b|connection reset|broken pipe|RemoteDisconnected|Connection aborted|IncompleteRead",
        "the connection was cut",
        GO_ON,
        TRIES,
    ),
)
