"""The user's proxies: used for what is fetched, and kept from everything that talks to a lab.

`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` (either case) are read by nearly every library and
program, the Kubernetes client, websockets, kubectl and Locust among them. A lab's addresses are never behind
a proxy, so the variables leave the environment when `lab` is imported. They lie in it under names of our own,
where the harness's own processes find them, and come back for what fetches.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

PROTOCOLS = ("http", "https")
KINDS = (*PROTOCOLS, "all", "no")
ASIDE = "PLUMBLINE_FETCH_"
"""Begins the names under which the variables lie while nothing is fetched."""
APT_SCHEMES = {"socks": "socks5h", "socks5": "socks5h"}
"""apt knows no SOCKS but the one whose proxy looks names up (apt-transport-http(1))."""

_guard = threading.Lock()
_fetching = 0


def set_aside() -> None:
    """Take the proxy variables out of the environment of this process and of those that it starts.

    One that is set now replaces what was set aside before: it comes from whoever started this process.
    """
    found = variables(os.environ)
    if any(name in os.environ for name in _names()):
        for kind in KINDS:
            os.environ.pop(ASIDE + kind, None)
    for name in _names():
        os.environ.pop(name, None)
    os.environ.update({ASIDE + kind: value for kind, value in found.items()})


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What an environment says of proxies, by kind: http, https, all, no. Of two spellings the lower case
    counts, as with curl and requests."""
    found = {}
    for kind in KINDS:
        value = environment.get(f"{kind}_proxy") or environment.get(f"{kind.upper()}_PROXY")
        if value:
            found[kind] = value
    return found


def given() -> dict[str, str]:
    """What the user said of proxies, by kind."""
    return {kind: os.environ[ASIDE + kind] for kind in KINDS if ASIDE + kind in os.environ}


def named() -> str:
    """The variables that name the user's proxies, in capitals; the one for most of it where none is set."""
    return " or ".join(f"{kind.upper()}_PROXY" for kind in given() if kind != "no") or "HTTPS_PROXY"


def settings() -> dict[str, str]:
    """The user's variables as every program understands them.

    Both spellings, since apt reads the lower case alone; and `ALL_PROXY` for each protocol without a proxy
    of its own, since neither Go nor apt reads it.
    """
    said = given()
    if "all" in said:
        said = {**dict.fromkeys(PROTOCOLS, said["all"]), **said}
    return {name: value for kind, value in said.items() for name in _spellings(kind)}


def apt_settings() -> dict[str, str]:
    """`settings` in apt's words for SOCKS."""
    found = {}
    for name, value in settings().items():
        scheme, separator, rest = value.partition("://")
        found[name] = f"{APT_SCHEMES.get(scheme, scheme)}{separator}{rest}"
    return found


@contextmanager
def fetching() -> Iterator[None]:
    """The user's proxies in the environment, for a library or a program that fetches; nothing else may run
    meanwhile that talks to a lab."""
    global _fetching
    with _guard:
        _fetching += 1
        os.environ.update(settings())
    try:
        yield
    finally:
        with _guard:
            _fetching -= 1
            if not _fetching:
                for name in _names():
                    os.environ.pop(name, None)


def beside(addresses: Iterable[str]) -> dict[str, str]:
    """The environment of a person's shell: the user's proxies, and `NO_PROXY` with a lab's addresses."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ASIDE)}
    said = settings()
    if any(kind in given() for kind in (*PROTOCOLS, "all")):
        listed = [entry for entry in given().get("no", "").split(",") if entry]
        value = ",".join(dict.fromkeys([*listed, "localhost", "127.0.0.1", *addresses]))
        said |= dict.fromkeys(_spellings("no"), value)
    return kept | said


def _spellings(kind: str) -> tuple[str, str]:
    return f"{kind}_proxy", f"{kind.upper()}_PROXY"


def _names() -> list[str]:
    return [name for kind in KINDS for name in _spellings(kind)]
