"""Webhooks: one that answers anything over HTTP is there; one that nobody reaches is named with why."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.api import ApiError
from lab.cluster.webhooks import unanswered
from lab.objects import Object
from tests.fake_api import FakeApi

SERVICE = "/api/v1/namespaces/toy/services/webhook"
CALL = "/api/v1/namespaces/toy/services/https:webhook:9443/proxy/validate"
SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/toy/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3Dwebhook"
)
CLIENT: Object = {
    "service": {"namespace": "toy", "name": "webhook", "port": 9443, "path": "/validate"},
    "caBundle": "Cg==",
}


class Proxy(FakeApi):
    """Answers calls of a service with a status; 200 unless it was told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.status, self.said = 200, ""
        self.slices: list[Object] = []

    def items(self, path: str) -> list[Object]:
        assert path == SLICES
        return self.slices

    def request(self, method: str, path: str, *_: Any, **__: Any) -> Object:
        assert method == "GET"
        self.calls.append(path)
        if self.status >= 400:
            raise ApiError(f"GET {path}", self.status, self.said)
        return {}


@pytest.fixture
def api() -> Proxy:
    made = Proxy()
    made.objects[SERVICE] = service(selector={"app": "toy"})
    return made


def service(**spec: Any) -> Object:
    return {"metadata": {"name": "webhook"}, "spec": spec}


def configuration(**client: Any) -> Object:
    return {"metadata": {"name": "toy"}, "webhooks": [{"name": "a.toy.io", "clientConfig": CLIENT | client}]}


@pytest.mark.parametrize("status", [200, 400, 405, 415])
def test_any_answer_of_the_webhook_is_one(api: Proxy, status: int) -> None:
    api.status = status
    assert unanswered(api, configuration()) == {}
    assert api.calls == [CALL]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, 'no endpoints available for service "https:webhook:9443"'),
        (502, "error trying to reach service: dial tcp 10.244.1.2:9443: connect: connection refused"),
    ],
)
def test_a_webhook_that_nobody_reaches_is_named(api: Proxy, status: int, said: str) -> None:
    api.status, api.said = status, said
    [(name, why)] = unanswered(api, configuration()).items()
    assert name == "a.toy.io"
    assert why.startswith("service toy/webhook: ")
    assert said in why


def test_a_webhook_without_service_or_ca_is_named(api: Proxy) -> None:
    assert unanswered(api, configuration(caBundle="")) == {
        "a.toy.io": "has no CA by which the API servers would know it"
    }
    del api.objects[SERVICE]
    assert unanswered(api, configuration()) == {"a.toy.io": "service toy/webhook does not exist"}


def test_what_is_outside_of_the_cluster_is_not_asked(api: Proxy) -> None:
    api.status = 503
    assert unanswered(api, configuration(service=None, url="https://x/")) == {}
    api.objects[SERVICE] = service(type="ExternalName", externalName="hooks.example.org")
    assert unanswered(api, configuration()) == {}
    assert api.calls == []


@pytest.mark.parametrize("conditions", [{"conditions": {"ready": True}}, {"conditions": {}}, {}])
def test_a_service_whose_endpoints_are_no_pods_answers_by_a_ready_one(api: Proxy, conditions: Object) -> None:
    """As default/kubernetes: the API server's proxy skips endpoints that are no pods."""
    api.objects[SERVICE], api.status = service(), 503
    down = {"addresses": ["10.1.1.11"], "conditions": {"ready": False}}
    api.slices = [{"endpoints": None}, {"endpoints": [down]}]
    silent = {"a.toy.io": "service toy/webhook has no selector, and no ready endpoint"}
    assert unanswered(api, configuration()) == silent
    api.slices = []
    assert unanswered(api, configuration()) == silent
    api.slices = [{"endpoints": [down, {"addresses": ["10.1.1.12"]} | conditions]}]
    assert unanswered(api, configuration()) == {}
    assert unanswered(api, configuration(caBundle="")) != {}
    assert api.calls == []


def test_the_webhook_that_converts_a_definition_is_asked_as_well(api: Proxy) -> None:
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": CLIENT}}
    item = {"metadata": {"name": "toys.toy.io"}, "spec": {"conversion": conversion}}
    assert unanswered(api, item) == {}
    api.status = 503
    assert list(unanswered(api, item)) == ["conversion of toys.toy.io"]
    assert (
        unanswered(api, {"metadata": {"name": "toys.toy.io"}, "spec": {"conversion": {"strategy": "None"}}})
        == {}
    )
