"""The Kubernetes API as the build needs it: read, apply, delete; with the client library's TLS and retries.

Objects are plain dictionaries, because manifests are; paths come from the server's own discovery, so
custom resources need no table here.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lab.errors import FailedError
from lab.objects import Object
from lab.waits import NotYet, patient, wait_for

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

T = TypeVar("T")

JSON = "application/json"
MERGE = "application/merge-patch+json"
FIELD_MANAGER = "plumbline"
TIMEOUT = (3.0, 20.0)
"""Seconds to connect and to read; a dying API server answers within neither."""
CONNECTIONS = 32
"""Kept open: a plan looks at kinds and add-ons at the same time, and every new one costs a handshake."""
BUSY_ATTEMPTS = 8
"""How often an API server that says 429 is asked again, of what may be asked twice: for about two seconds."""
AWAY_SECONDS = 60
"""Longer than the API is away while a member of etcd joins: a second or two."""
_GO_VALUE = re.compile(r"Invalid value: \w+\.\w+\{.*?\}: ", re.DOTALL)
"""A struct of the API server's own, thousands of characters that tell nobody what is wrong."""
PASSING = (429, 500, 503, 504)
"""Statuses of an API server that is overloaded, or whose etcd has no leader right now."""


class ApiError(FailedError):
    """The API refused a request; carries the HTTP status, and what the API `said`."""

    def __init__(self, what: str, status: int, message: str, *, next_step: str = "") -> None:
        super().__init__(f"API: {what}: {status}: {message}", next_step=next_step)
        self.status, self.said = status, message


class Unavailable(FailedError):
    """No API server answered."""


def client(kubeconfig: Path) -> ApiClient:
    """A client of the library; a lab's API is behind no proxy, whatever the environment says."""
    # a tenth of a second, in which a command can already ask the hosts
    from kubernetes import config
    from kubernetes.client import Configuration
    from urllib3.util import Retry

    settings = Configuration()
    settings.proxy = None
    # an API server that first meets a custom resource says 429 and "in a second", and is ready in far less
    settings.retries = Retry(
        total=None,
        connect=3,
        read=3,
        other=3,
        redirect=0,
        status=BUSY_ATTEMPTS,
        status_forcelist=(429,),
        raise_on_status=False,
        respect_retry_after_header=False,
        backoff_factor=0.05,
        backoff_max=0.5,
    )
    settings.connection_pool_maxsize = CONNECTIONS
    made: ApiClient = config.new_client_from_config(  # type: ignore[no-untyped-call]
        str(kubeconfig), client_configuration=settings
    )
    return made


class Api:
    """One cluster's API, through the endpoint of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = client(kubeconfig)
        self._host: str = self._client.configuration.host
        self._resources: dict[str, dict[str, Object]] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        body: str | Object | None = None,
        content: str = JSON,
        *,
        accept: str = JSON,
    ) -> Object:
        """One request; the decoded answer. Raises `ApiError` with the status, `Unavailable` without one."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": accept, "Content-Type": content}
        timeouts = tuple(map(patient, TIMEOUT))
        try:
            response = self._client.rest_client.request(  # type: ignore[no-untyped-call]
                method, self._host + path, headers=headers, body=body, _request_timeout=timeouts
            )
            text = response.read()
        except ApiException as error:
            if not error.status:
                raise Unavailable(f"API: {self._host}: {_plain(error.reason)}") from error
            raise ApiError(f"{method} {path}", error.status, _message(error.body)) from error
        except HTTPError as error:
            raise Unavailable(f"API: {self._host}: {_plain(error)}") from error
        if response.status >= 400:
            raise ApiError(f"{method} {path}", response.status, _message(text))
        decoded = _decoded(text)
        return decoded if isinstance(decoded, dict) else {"text": decoded}

    def get(self, path: str) -> Object | None:
        """The object or list at `path`; None when there is none."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str) -> list[Object]:
        """The items of the list at `path`."""
        found: list[Object] = self.request("GET", path)["items"]
        return found

    def delete(self, path: str, options: Object | None = None) -> bool:
        """Delete the object at `path` with DeleteOptions (meta/v1); False when there was none."""
        try:
            self.request("DELETE", path, options)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def ready(self) -> bool:
        """Whether the API server behind the endpoint says it is ready."""
        try:
            self.request("GET", "/readyz")
        except (ApiError, Unavailable):
            return False
        return True

    def path(self, item: Object) -> str:
        """The path of an object. Raises `NotYet` when the server does not know its kind (yet)."""
        version, kind = item["apiVersion"], item["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        with self._lock:
            known = self._resources.get(version, {})
        if kind not in known:
            listing = self.get(root) or {"resources": []}
            known = {entry["kind"]: entry for entry in listing["resources"] if "/" not in entry["name"]}
            with self._lock:
                self._resources[version] = known
        if kind not in known:
            raise NotYet(f"the API server does not serve {kind} of {version}")
        space = f"/namespaces/{item['metadata']['namespace']}" if known[kind]["namespaced"] else ""
        return f"{root}{space}/{known[kind]['name']}/{item['metadata']['name']}"

    def apply(self, item: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Object:
        """Server-side apply as `manager`; the object as it is (or would be) afterwards."""
        query = f"?fieldManager={manager}&force=true" + ("&dryRun=All" if dry_run else "")
        return self.request(
            "PATCH", self.path(item) + query, json.dumps(item), "application/apply-patch+yaml"
        )

    def merge(self, item: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Object:
        """Merge patch (RFC 7386) as `manager`: mappings by key, lists whole; the object afterwards.

        Raises `ApiError` with 404 when there is none.
        """
        query = f"?fieldManager={manager}" + ("&dryRun=All" if dry_run else "")
        return self.request("PATCH", self.path(item) + query, item, MERGE)


def patiently(subject: str, ask: Callable[[], T]) -> T:
    """What `ask` gives back; asked again while the API is away, so it may be done twice.

    Connections break and etcd changes its leader while masters join. Raises `DeadlineError` after
    `AWAY_SECONDS`, and at once what the API refuses for good.
    """

    def probe() -> T:
        try:
            return ask()
        except Unavailable as error:
            raise NotYet(error.message) from error
        except ApiError as error:
            if error.status in PASSING:
                raise NotYet(error.message) from error
            raise

    return wait_for(subject, probe, seconds=AWAY_SECONDS, next_step="invoke status")


def _plain(reason: object) -> str:
    """What a client library says, without objects of its own: what it begins with, and what it wraps."""
    text = str(reason).strip()
    if wrapped := re.search(r"\(Caused by [^\"']*([\"'])(.+)\1\)+$", text):
        text = wrapped[2]
    return re.sub(r"(<[^<>]* object at 0x[0-9a-f]+>|\w+\(host=[^()]*\)): ", "", text) or "no reason given"


def _message(body: str | bytes | None) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    try:
        decoded = json.loads(text)
    except ValueError:
        return text[:500] or "no message"
    told = str(decoded.get("message", decoded)) if isinstance(decoded, dict) else str(decoded)
    return _GO_VALUE.sub("", told)


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text or b"{}")
    except ValueError:
        return text.decode(errors="replace")
