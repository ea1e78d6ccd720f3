"""The port of an add-on that somebody has already is the add-on's mistake, not the inventory's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.addons import addons
from lab.addons.model import Listen
from lab.errors import InputError
from lab.inventory import load
from lab.inventory.rules import ports


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    ports._of_addons.cache_clear()
    yield
    ports._of_addons.cache_clear()


def with_port(monkeypatch: pytest.MonkeyPatch, number: int, protocol: str = "tcp") -> None:
    traefik = next(item for item in addons() if item.name == "traefik")
    port = Listen.model_validate({"name": "the toy", "port": number, "protocol": protocol, "from": ["nodes"]})
    toy = traefik.model_copy(update={"ports": (port,)})
    monkeypatch.setattr(ports, "addons", lambda: (*addons(), toy))


@pytest.mark.parametrize(
    ("number", "owner"),
    [(6443, "the balancer"), (10250, "the kubelet"), (7946, "MetalLB"), (10249, "kube-proxy's metrics")],
)
def test_a_port_that_is_taken_is_refused_by_file(
    monkeypatch: pytest.MonkeyPatch, number: int, owner: str
) -> None:
    with_port(monkeypatch, number)
    told = f"addons/traefik/addon.yaml: ports: the toy: {number}/tcp is the port of .*"
    with pytest.raises(InputError, match=told) as refused:
        list(ports.ports(load("rehearsal")))
    assert owner.lower() in refused.value.message.lower()


@pytest.mark.parametrize(("number", "protocol"), [(9999, "tcp"), (6443, "udp")])
def test_a_free_port_is_taken(monkeypatch: pytest.MonkeyPatch, number: int, protocol: str) -> None:
    with_port(monkeypatch, number, protocol)
    assert list(ports.ports(load("rehearsal"))) == []
