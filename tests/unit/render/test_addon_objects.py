"""An add-on's objects fit what its addon.yaml says, and the API, or are refused by name."""

from __future__ import annotations

import pytest

from lab.addons import AddOn, addons
from lab.errors import InputError
from lab.objects import Object
from lab.render.addon_objects import check


def addon(name: str) -> AddOn:
    return next(item for item in addons() if item.name == name)


def config_map(name: str, space: str = "traefik") -> Object:
    meta = {"name": name} | ({"namespace": space} if space else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


READY = [
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "traefik", "name": "traefik"}}
]
GAUGES: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gauges.example.com"},
    "spec": {"scope": "Cluster", "names": {"kind": "Gauge"}},
}
GAUGE: Object = {"apiVersion": "example.com/v1", "kind": "Gauge", "metadata": {"name": "main"}}


def test_objects_that_fit_are_taken() -> None:
    elsewhere = GAUGE | {"kind": "Dial", "metadata": {"name": "x"}}
    check(addon("traefik"), [*READY, config_map("one"), config_map("two"), GAUGES, GAUGE, elsewhere])


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([*READY, config_map("one"), config_map("one")], "ConfigMap/traefik/one: stands 2 times"),
        (
            [*READY, config_map("one", "")],
            "ConfigMap/one: metadata.namespace is missing; write traefik",
        ),
        (
            [*READY, config_map("one", "default")],
            r"ConfigMap/default/one: is in none of its namespaces \(traefik\); addon.yaml must name default",
        ),
        (
            [*READY, GAUGES, GAUGE | {"metadata": {"name": "main", "namespace": "traefik"}}],
            "Gauge/traefik/main: metadata.namespace: a Gauge is in none; remove it",
        ),
        (
            [config_map("one")],
            "addon.yaml: ready: deployment/traefik/traefik: no object of it has this kind",
        ),
    ],
)
def test_objects_that_do_not_fit_are_refused_by_name(items: list[Object], told: str) -> None:
    with pytest.raises(InputError, match=f"addons/traefik.*{told}") as refused:
        check(addon("traefik"), items)
    assert refused.value.message.count("\n") == 0, "nothing else is wrong with them"
