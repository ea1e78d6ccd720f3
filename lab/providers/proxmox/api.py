"""Calls to one Proxmox VE cluster: an API token over TLS that is always checked, at most 20 at a time."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from platformdirs import user_config_path
from proxmoxer import ResourceException
from proxmoxer.backends.https import Backend
from proxmoxer.core import ProxmoxResource
from requests.adapters import HTTPAdapter

from lab.errors import InputError, PreflightError
from lab.providers.proxmox.retry import LostError, ProxmoxApiError, judged, read
from lab.providers.proxmox.section import Proxmox

log = logging.getLogger("plumbline")

IN_FLIGHT = 20
"""Calls at the same time; the API's workers serve all users of the cluster."""
SECONDS = 30.0
"""Time for one answer: a call that waits for a lock answers after 10 s (qemu-server)."""
_DISTRUST = ("CERTIFICATE_VERIFY_FAILED", "Fingerprints did not match")
"""Of all errors of TLS, what is about the certificate (OpenSSL, urllib3); a cut handshake is a lost call."""
SECRET = "PLUMBLINE_PROXMOX_SECRET"


class _Adapter(HTTPAdapter):
    """Connections for all threads; with a fingerprint, only to the server that has this certificate."""

    def __init__(self, fingerprint: str | None) -> None:
        self._pinned = {"assert_fingerprint": fingerprint} if fingerprint else {}
        super().__init__(pool_maxsize=IN_FLIGHT)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._pinned)


def secret_file(lab: str) -> Path:
    """Where a lab's token secret is read from when the environment does not hold it."""
    return user_config_path("plumbline") / f"{lab}.proxmox-secret"


def secret(lab: str) -> str:
    """The token's secret, from PLUMBLINE_PROXMOX_SECRET or the lab's file, which only its owner may read.

    Raises `InputError` when there is none, or when others can read the file.
    """
    given = os.environ.get(SECRET, "").strip()
    if given:
        return given
    file = secret_file(lab)
    if not file.is_file():
        raise InputError(
            f"proxmox.token: its secret is neither in {SECRET} nor in {file}",
            next_step=f"export {SECRET}=..., or: install -m 600 /dev/stdin {file}",
        )
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise InputError(f"{file}: others can read this secret", next_step=f"chmod 600 {file}")
    return file.read_text().strip()


class ProxmoxApi:
    """One cluster, reached through one of its nodes. Threads may share it.

    `get` repeats lost calls. `post`, `put` and `delete` send once: they raise `LostError` when the outcome is
    unknown, `BusyError` when a lock was held, `ProxmoxApiError` when the call was refused.
    """

    def __init__(self, settings: Proxmox, token_secret: str, *, seconds: float = SECONDS) -> None:
        user, _, name = settings.token.partition("!")
        # a pinned certificate replaces the authorities; with neither, the usual authorities decide
        verify: bool | str = not settings.fingerprint
        if settings.ca_file:
            verify = str(Path(settings.ca_file).expanduser())
            if not Path(verify).is_file():
                raise InputError(
                    f"proxmox.ca_file: {verify}: there is no such file",
                    next_step="copy /etc/pve/pve-root-ca.pem of a node to it",
                )
        backend = Backend(
            host=settings.host,
            port=settings.port,
            user=user,
            token_name=name,
            token_value=token_secret,
            verify_ssl=verify,
            timeout=(5, seconds),
        )
        session = backend.get_session()
        # neither a proxy nor a .netrc of this machine has a say in calls to the management network
        session.trust_env = False
        session.mount("https://", _Adapter(settings.fingerprint))
        self.where = f"https://{settings.host}:{settings.port}"
        self._root = ProxmoxResource(
            base_url=backend.get_base_url(), session=session, serializer=backend.get_serializer()
        )
        self._slots = threading.BoundedSemaphore(IN_FLIGHT)

    @cached_property
    def version(self) -> tuple[int, int]:
        """Major and minor version of Proxmox VE."""
        major, minor = str(self.get("version")["version"]).split(".")[:2]
        return int(major), int(minor.partition("-")[0])

    def get(self, path: str, **params: Any) -> Any:
        """Read; lost calls are repeated for a minute."""
        return read(f"GET {path}", lambda: self._send("get", path, params))

    def once(self, path: str, **params: Any) -> Any:
        """Read without repeating: for what is polled anyway."""
        return self._send("get", path, params)

    def post(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send a change once."""
        return self._send("post", path, params or {})

    def put(self, path: str, params: Mapping[str, Any]) -> Any:
        """Send a change once."""
        return self._send("put", path, params)

    def delete(self, path: str, **params: Any) -> Any:
        """Send a change once."""
        return self._send("delete", path, params)

    def _send(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        call = f"{method.upper()} {path}"
        with self._slots:
            try:
                answer = getattr(self._root(path), method)(**params)
            except ResourceException as error:
                fields = error.errors if isinstance(error.errors, dict) else {}
                refused = ProxmoxApiError(call, error.status_code, str(error.content).strip(), fields)
                log.debug("%s", refused.message)
                raise judged(refused, change=method != "get") from error
            except requests.exceptions.RequestException as error:
                if any(sign in str(error) for sign in _DISTRUST):
                    raise PreflightError(
                        f"{self.where}: its certificate is not the expected one: {error}",
                        next_step="set proxmox.ca_file (a copy of /etc/pve/pve-root-ca.pem), or "
                        "proxmox.fingerprint (pvenode cert info, on the node)",
                    ) from error
                raise LostError(f"{call}: no answer from {self.where}: {error}") from error
        if method != "get":
            log.debug("%s %s -> %s", call, dict(params), answer)
        if isinstance(answer, dict) and set(answer) == {"errors"} and isinstance(answer["errors"], bytes):
            raise LostError(f"{call}: an answer that is no JSON from {self.where}")
        return answer
