"""The API client: what each answer means; the HTTP library below it is replaced, so no socket is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
import urllib3
from kubernetes.client.exceptions import ApiException

from lab.cluster.api import PASSING, Api, ApiError, Unavailable, patiently
from lab.waits import NotYet
from tests.fakes import FakeClock

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.1.1.50:6443"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""
RESOURCES = {
    "resources": [
        {"kind": "Namespace", "name": "namespaces", "namespaced": False},
        {"kind": "Pod", "name": "pods", "namespaced": True},
        {"kind": "Pod", "name": "pods/log", "namespaced": True},
    ]
}


class Answer:
    """A response of the HTTP library."""

    def __init__(self, status: int, body: str) -> None:
        self.status, self._body = status, body.encode()

    def read(self) -> bytes:
        return self._body


class Wire:
    """Takes the place of the HTTP library: answers by method and path."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.asked: list[str] = []
        self.last: dict[str, Any] = {}

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        path = url.removeprefix("https://10.1.1.50:6443")
        self.asked.append(f"{method} {path}")
        self.last = kwargs
        answer = self.answers.get(f"{method} {path}", ApiException(status=404, reason="Not Found"))
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Answer | dict)
        return answer if isinstance(answer, Answer) else Answer(200, json.dumps(answer))


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def api(tmp_path: Path, wire: Wire) -> Api:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    made = Api(tmp_path / "kubeconfig")
    made._client.rest_client = wire  # type: ignore[assignment]
    return made


def refused(status: int, body: object) -> ApiException:
    error = ApiException(status=status, reason="Refused")
    error.body = body if isinstance(body, bytes) else json.dumps(body)  # type: ignore[assignment]
    return error


def test_an_object_is_read_and_one_that_is_not_there_is_none(api: Api, wire: Wire) -> None:
    wire.answers["GET /api/v1/nodes/a"] = {"kind": "Node"}
    assert api.get("/api/v1/nodes/a") == {"kind": "Node"}
    assert api.get("/api/v1/nodes/b") is None


def test_deleting_tells_whether_there_was_something(api: Api, wire: Wire) -> None:
    wire.answers["DELETE /api/v1/nodes/a"] = {"status": "Success"}
    assert api.delete("/api/v1/nodes/a")
    assert not api.delete("/api/v1/nodes/b")


def test_a_refusal_carries_the_status_and_the_servers_own_words(api: Api, wire: Wire) -> None:
    wire.answers["GET /x"] = refused(403, {"message": "nodes is forbidden"})
    with pytest.raises(ApiError, match="API: GET /x: 403: nodes is forbidden") as failed:
        api.get("/x")
    assert failed.value.status == 403
    wire.answers["DELETE /x"] = refused(409, {"message": "conflict"})
    with pytest.raises(ApiError, match="409: conflict"):
        api.delete("/x")


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"<html>Bad Gateway</html>", "Bad Gateway"), (b"", "no message"), (b'"text"', "text"), (b"[1]", "1")],
)
def test_a_refusal_without_a_status_object_is_told_as_it_is(
    api: Api, wire: Wire, body: bytes, said: str
) -> None:
    wire.answers["GET /x"] = refused(502, body)
    with pytest.raises(ApiError, match=said):
        api.get("/x")


def test_a_status_of_an_error_is_an_error_however_the_library_hands_it_over(api: Api, wire: Wire) -> None:
    wire.answers["GET /x"] = Answer(500, '{"message": "etcdserver: request timed out"}')
    with pytest.raises(ApiError, match="500: etcdserver: request timed out"):
        api.get("/x")


@pytest.mark.parametrize(
    "error",
    [
        urllib3.exceptions.MaxRetryError(None, "/x", "connection refused"),  # type: ignore[arg-type]
        urllib3.exceptions.ReadTimeoutError(None, "/x", "read timed out"),  # type: ignore[arg-type]
        ApiException(status=0, reason="SSLError"),
        ApiException(
            status=0,
            reason="HTTPSConnectionPool(host='10.1.1.50', port=6443): Max retries exceeded with url: /x "
            "(Caused by SSLError(SSLCertVerificationError(1, '[SSL] certificate verify failed')))",
        ),
    ],
    ids=["refused", "timeout", "tls", "certificate"],
)
def test_no_answer_is_told_apart_from_a_refusal(api: Api, wire: Wire, error: Exception) -> None:
    wire.answers["GET /x"] = error
    wire.answers["GET /readyz"] = error
    with pytest.raises(Unavailable, match=r"API: https://10\.1\.1\.50:6443: [^<(]*$"):
        api.get("/x")
    assert not api.ready()


def test_a_server_is_ready_when_it_says_so(api: Api, wire: Wire) -> None:
    wire.answers["GET /readyz"] = Answer(200, "ok")
    assert api.ready()
    wire.answers["GET /readyz"] = refused(500, b"[-]etcd failed")
    assert not api.ready()


def test_a_request_never_hangs(api: Api, wire: Wire) -> None:
    wire.answers["GET /x"] = {}
    api.get("/x")
    connect, read = wire.last["_request_timeout"]
    assert 0 < connect <= 5
    assert 0 < read <= 60


def test_items_of_a_list_are_given_and_an_error_is_no_empty_list(api: Api, wire: Wire) -> None:
    wire.answers["GET /api/v1/nodes"] = {"items": [{"kind": "Node"}]}
    assert api.items("/api/v1/nodes") == [{"kind": "Node"}]
    with pytest.raises(ApiError):
        api.items("/api/v1/pods")


def item(kind: str, version: str = "v1", **meta: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"} | meta}


def test_paths_come_from_the_servers_own_discovery(api: Api, wire: Wire) -> None:
    wire.answers["GET /api/v1"] = RESOURCES
    assert api.path(item("Namespace")) == "/api/v1/namespaces/x"
    assert api.path(item("Pod", namespace="y")) == "/api/v1/namespaces/y/pods/x"
    assert wire.asked == ["GET /api/v1"], "discovery is asked once"
    wire.answers["GET /apis/metallb.io/v1beta1"] = {
        "resources": [{"kind": "IPAddressPool", "name": "ipaddresspools", "namespaced": True}]
    }
    pool = item("IPAddressPool", "metallb.io/v1beta1", namespace="y")
    assert api.path(pool) == "/apis/metallb.io/v1beta1/namespaces/y/ipaddresspools/x"


def test_a_kind_that_is_not_served_yet_is_found_as_soon_as_it_is(api: Api, wire: Wire) -> None:
    pool = item("IPAddressPool", "metallb.io/v1beta1", namespace="y")
    with pytest.raises(NotYet, match=r"does not serve IPAddressPool of metallb.io/v1beta1"):
        api.path(pool)
    wire.answers["GET /apis/metallb.io/v1beta1"] = {"resources": []}
    with pytest.raises(NotYet):
        api.path(pool)
    wire.answers["GET /apis/metallb.io/v1beta1"] = {
        "resources": [{"kind": "IPAddressPool", "name": "ipaddresspools", "namespaced": True}]
    }
    assert api.path(pool).endswith("/ipaddresspools/x")


@pytest.mark.parametrize(("dry_run", "query"), [(False, ""), (True, "&dryRun=All")])
def test_apply_is_server_side_under_our_own_name(api: Api, wire: Wire, dry_run: bool, query: str) -> None:
    wire.answers["GET /api/v1"] = RESOURCES
    path = f"PATCH /api/v1/namespaces/x?fieldManager=plumbline&force=true{query}"
    wire.answers[path] = {"kind": "Namespace", "metadata": {"uid": "u"}}
    assert api.apply(item("Namespace"), dry_run=dry_run)["metadata"] == {"uid": "u"}
    assert wire.last["headers"]["Content-Type"] == "application/apply-patch+yaml"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


@pytest.mark.parametrize(
    "passing",
    [Unavailable("API: unexpected EOF"), *(ApiError("GET /x", status, "no leader") for status in PASSING)],
    ids=str,
)
def test_an_api_that_is_away_for_a_moment_is_asked_again(clock: FakeClock, passing: Exception) -> None:
    away = iter([passing, passing])

    def ask() -> str:
        for error in away:
            raise error
        return "found"

    assert patiently("x", ask) == "found"
    assert clock.naps == 2


def test_what_the_api_refuses_is_not_asked_again(clock: FakeClock) -> None:
    def ask() -> NoReturn:
        raise ApiError("GET /x", 403, "forbidden")

    with pytest.raises(ApiError, match="forbidden"):
        patiently("x", ask)
    assert clock.naps == 0
