"""Row P2-16: addresses, endpoints, defaults and drains that others claim."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.declared import Declared
from lab.checks.taken import from_the_platform
from lab.checks.workspace import LABEL as OF_CHECKS
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.unit.strangers.making import put

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
DEFAULT = {"ingressclass.kubernetes.io/is-default-class": "true"}


def given(address: str) -> Object:
    return {"loadBalancer": {"ingress": [{"ip": address}]}}


def test_addresses_of_people_s_services_are_theirs(declared: Declared, api: FakeApi) -> None:
    put(api, SERVICES, "web", "shop", spec={}, status=given("10.1.1.101"))
    put(api, SERVICES, "nas", "shop", spec={"externalIPs": ["10.1.1.200"]})
    put(api, SERVICES, "plain", "shop", spec={"clusterIP": "10.96.7.7"})
    assert from_the_platform(declared) == []


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("10.1.1.50", "haproxy"),
        ("10.1.1.11", "master-1"),
        ("10.1.1.1", "the gateway"),
        ("10.96.0.10", "of the services' network"),
        ("10.244.1.1", "of the pods' network"),
        ("10.1.1.100", "traefik/traefik"),
    ],
)
@pytest.mark.parametrize("way", ["externalIPs", "status"])
def test_an_address_of_the_platform_is_named(
    declared: Declared, api: FakeApi, address: str, whose: str, way: str
) -> None:
    api.objects["/api/v1/namespaces/traefik/services/traefik"]["status"] = given("10.1.1.100")
    fields: dict[str, Any] = {"spec": {"externalIPs": [address]}}
    put(
        api,
        SERVICES,
        "x",
        "shop",
        **(fields if way == "externalIPs" else {"spec": {}, "status": given(address)}),
    )
    assert from_the_platform(declared) == [f"Service/shop/x: takes {address} on every node, which is {whose}"]


def test_endpoints_are_written_by_controllers(declared: Declared, api: FakeApi) -> None:
    label = "kubernetes.io/service-name"
    put(api, SLICES, "kube-dns-a", "kube-system", by="kube-controller-manager", labels={label: "kube-dns"})
    put(api, SLICES, "kubernetes", "default", by="kube-apiserver", labels={label: "kubernetes"})
    put(api, SLICES, "own", "default", labels={label: "app"})
    put(api, SLICES, "own", "shop", labels={label: "kube-dns"})
    assert from_the_platform(declared) == []
    put(api, SLICES, "x", "kube-system", labels={label: "kube-dns"})
    put(api, SLICES, "y", "default", labels={label: "kubernetes"})
    assert from_the_platform(declared) == [
        "EndpointSlice/default/y: leads clients of service default/kubernetes elsewhere; "
        "written by kubectl-create",
        "EndpointSlice/kube-system/x: leads clients of service kube-system/kube-dns elsewhere; "
        "written by kubectl-create",
    ]


def test_defaults_are_the_platform_s(declared: Declared, api: FakeApi) -> None:
    put(api, CLASSES, "traefik", by="plumbline", annotations=DEFAULT, spec={})
    put(api, CLASSES, "other", spec={})
    put(api, "/apis/scheduling.k8s.io/v1/priorityclasses", "shop", value=7)
    put(api, "/apis/storage.k8s.io/v1/storageclasses", "x", annotations=DEFAULT)
    assert from_the_platform(declared) == []
    put(api, CLASSES, "second", annotations=DEFAULT, spec={})
    put(api, "/apis/scheduling.k8s.io/v1/priorityclasses", "all", value=7, globalDefault=True)
    assert from_the_platform(declared) == [
        "PriorityClass/all: is the priority (7) of all new pods, the platform's too",
        "IngressClass/second: is a second default beside the platform's own",
    ]


@pytest.mark.parametrize(
    ("expected", "healthy", "named"), [(2, 1, False), (0, 0, False), (1, 1, True), (3, 3, True)]
)
def test_a_budget_lets_a_pod_go(
    declared: Declared, api: FakeApi, expected: int, healthy: int, named: bool
) -> None:
    put(api, BUDGETS, "x", "shop", spec={}, status={"expectedPods": expected, "desiredHealthy": healthy})
    told = (
        f"PodDisruptionBudget/shop/x: lets none of its {expected} pods go, "
        "so that no machine with one is ever drained"
    )
    assert from_the_platform(declared) == ([told] if named else [])
    put(api, "/api/v1/namespaces", "shop", labels={OF_CHECKS: "run"})
    assert from_the_platform(declared) == []
