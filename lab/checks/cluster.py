"""The cluster as the checks see it: the API with its failures told apart, and programs run inside pods."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import urllib3
from kubernetes.client import ApiClient, CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL

from lab.checks.outcomes import SILENT, CouldNotTell
from lab.checks.outside import http_get
from lab.checks.verbs import Refused
from lab.cluster.api import PASSING, Api, ApiError, Unavailable, client
from lab.errors import DeadlineError
from lab.objects import Object

T = TypeVar("T")

ASKED_AGAIN_SECONDS = 8.0
REFUSALS = (400, 404, 409, 422)
"""Statuses with which the API judges a request; every other failure means that nobody could look."""


@dataclass(frozen=True)
class Ran:
    """A program that ran in a pod."""

    code: int
    stdout: str
    stderr: str

    def lines(self) -> list[dict[str, Any]]:
        """One JSON object a line."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]


class Cluster:
    """Asks the API through the endpoint of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._api = Api(kubeconfig)

    def _client(self) -> ApiClient:
        return client(self._kubeconfig)

    def request(self, method: str, path: str, body: Object | None = None) -> Object:
        """One request. Raises `Refused` when the API judged it, `CouldNotTell` when nobody could look."""
        content = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
        try:
            return self._asked(method, lambda: self._api.request(method, path, body, content))
        except ApiError as error:
            if error.status in REFUSALS:
                raise Refused(error.message) from error
            raise _blind(error) from error
        except Unavailable as error:
            raise _blind(error) from error

    def _asked(self, method: str, ask: Callable[[], T]) -> T:
        """Ask; when the connection breaks, ask again for a few seconds what may be asked twice. What is only
        read is asked again also while the API is overloaded, or its etcd has changed its leader.

        The balancer cuts connections to an API server that misses its checks. Whether that is allowed is
        judged by the checks that look at it, not by whichever check happened to be asking.
        """
        deadline = time.monotonic() + ASKED_AGAIN_SECONDS
        while True:
            try:
                return ask()
            except (ApiError, Unavailable) as error:
                passing = method == "GET" and isinstance(error, ApiError) and error.status in PASSING
                again = passing or (method != "POST" and isinstance(error, Unavailable))
                if not again or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def get(self, path: str) -> Object | None:
        """The object at `path`, None when there is none."""
        try:
            return self._asked("GET", lambda: self._api.get(path))
        except (ApiError, Unavailable) as error:
            raise _blind(error) from error

    def items(self, path: str) -> list[Object]:
        """The items of a list; an unknown kind is `CouldNotTell`, never an empty list."""
        try:
            return self._asked("GET", lambda: self._api.items(path))
        except (ApiError, Unavailable) as error:
            raise _blind(error) from error

    def look(self, ask: Callable[[Api], T]) -> T:
        """What `ask` is told by the API; it must change nothing, for it may be asked again."""
        try:
            return self._asked("GET", lambda: ask(self._api))
        except (ApiError, Unavailable, DeadlineError) as error:
            raise _blind(error) from error

    def create(self, path: str, item: Object) -> Object:
        """Create an object in the collection at `path`."""
        return self.request("POST", path, item)

    def delete(self, path: str) -> bool:
        """Delete an object; False when there was none."""
        try:
            return self._asked("DELETE", lambda: self._api.delete(path))
        except (ApiError, Unavailable) as error:
            raise _blind(error) from error

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """A client context of the administrator: the cluster's CA, the client certificate."""
        made = self._client().configuration
        context = ssl.create_default_context(cafile=made.ssl_ca_cert)
        context.load_cert_chain(made.cert_file, made.key_file)
        return context

    def clock(self, address: str, port: int) -> float:
        """The cluster's own time (seconds since 1970), from the Date of an API server's answer."""
        answer = http_get(address, port, "/readyz", tls=self.tls, seconds=5)
        return parsedate_to_datetime(answer.headers["date"]).timestamp()

    def execute(self, namespace: str, pod: str, command: list[str], *, seconds: float = 60) -> Ran:
        """Run a program in a pod. Raises `CouldNotTell` when it could not be started."""
        # a client of its own: the library turns the one it is given into a websocket client for the call
        core = CoreV1Api(self._client())
        try:
            session = stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=command,
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
            )
            session.run_forever(timeout=seconds)
            stdout, stderr = session.read_stdout(timeout=0) or "", session.read_stderr(timeout=0) or ""
            code = _exit_code(session)
            session.close()
        except (ApiException, urllib3.exceptions.HTTPError, OSError, ValueError, TypeError) as error:
            reason = getattr(error, "reason", "") or error
            raise CouldNotTell(f"exec in {namespace}/{pod}: {reason}", next_step="invoke status") from error
        if code is None:
            raise CouldNotTell(f"exec in {namespace}/{pod}: `{command[0]}` still ran after {seconds:g} s")
        if code in (126, 127):
            raise CouldNotTell(f"exec in {namespace}/{pod}: {stderr.strip() or 'no such program'}")
        return Ran(code, stdout, stderr)


def _blind(error: ApiError | Unavailable | DeadlineError) -> CouldNotTell:
    cause = SILENT if isinstance(error, Unavailable) else ""
    return CouldNotTell(error.message, next_step="invoke status", cause=cause)


def _exit_code(session: Any) -> int | None:
    """The exit code that the API tells a `WSClient` after a program's end; None while it runs.

    Raises `ValueError` with the API's words when the program was never started.
    """
    if session.is_open():
        return None
    status = json.loads(session.read_channel(ERROR_CHANNEL))
    if status["status"] == "Success":
        return 0
    cause = (status.get("details", {}).get("causes") or [{}])[0]
    if cause.get("reason") != "ExitCode":
        raise ValueError(cause.get("message") or status.get("message", "no reason given"))
    return int(cause["message"])
