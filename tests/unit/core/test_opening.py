"""`invoke open`: whose page is meant, what is said of it, and when it is led to this machine."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from lab.cluster.api import Unavailable
from lab.cluster.endpoints import PodEndpoint, ready_endpoints
from lab.commands import opening
from lab.commands.forwarding import listener, tunnel_argv
from lab.commands.session import aside
from lab.errors import InputError
from lab.inventory.addon_sections import WebPage, pages
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.objects import Object
from lab.passwords import Passwords
from tests.fake_api import FakeApi
from tests.fakes import FakeProvider, FakeSsh
from tests.world import INVENTORY, inventory

EVERYTHING = inventory(f"{INVENTORY}observability: {{grafana: {{}}, logs: {{store: victorialogs}}}}\n")
SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/monitoring/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3D"
)


def piece(service: str, *endpoints: Object) -> Object:
    labels = {"kubernetes.io/service-name": service}
    return {"metadata": {"name": f"{service}-x", "labels": labels}, "endpoints": list(endpoints)}


def endpoint(address: str, node: str, *, ready: bool = True) -> Object:
    return {"addresses": [address], "nodeName": node, "conditions": {"ready": ready}}


@pytest.fixture
def api() -> FakeApi:
    """Each page has a pod that is ready; Alertmanager one that is not, too."""
    made = FakeApi()
    pods = {
        "grafana": [endpoint("10.244.4.7", "worker-1")],
        "prometheus": [endpoint("10.244.4.8", "worker-1")],
        "alertmanager": [
            endpoint("10.244.4.9", "worker-1", ready=False),
            endpoint("10.244.5.9", "worker-2"),
        ],
        "victorialogs": [endpoint("10.1.1.32", "worker-2")],
    }
    made.objects = {f"{SLICES}{name}/{name}-x": piece(name, *found) for name, found in pods.items()}
    return made


@pytest.fixture
def forwarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: FakeApi) -> list[tuple[str, str, int]]:
    """What was forwarded, by the pod's address, its node and the port that was asked for, instead of it."""
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    provider = FakeProvider()
    provider.prepare()
    seen: list[tuple[str, str, int]] = []

    def opened(found: Inventory) -> Lab:
        return Lab(found, tmp_path, provider, ssh=FakeSsh(), api=api)

    def forward(_lab: Lab, behind: PodEndpoint, page: WebPage, port: int, login: list[str]) -> None:
        seen.append((f"{behind.address}:{page.port}", behind.node, port))
        for line in login:
            aside(line)

    monkeypatch.setattr(opening, "read", lambda *_: EVERYTHING)
    monkeypatch.setattr(opening, "open_lab", opened)
    monkeypatch.setattr(opening, "_forward", forward)
    Passwords(tmp_path / "data" / "test" / "passwords").keep("monitoring", "grafana-admin", "open-sesame")
    return seen


def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's network is another one than this machine's."""
    numbers = iter((1, 2))
    monkeypatch.setattr(opening, "network", lambda: next(numbers))


def test_every_page_is_found_from_the_add_ons_alone() -> None:
    found = {name: (addon.name, page.told) for name, (addon, page) in pages(EVERYTHING).items()}
    within = "http://{}.monitoring.svc:{}, in the cluster alone"
    assert found == {
        "grafana": ("grafana", "http://10.1.1.31:30000"),
        "prometheus": ("prometheus", within.format("prometheus", 9090)),
        "alertmanager": ("alertmanager", within.format("alertmanager", 9093)),
        "victorialogs": (
            "victorialogs",
            "http://10.1.1.32:9428/select/vmui, to machines of the lab alone",
        ),
    }


def test_a_name_that_nobody_has_is_refused_with_those_there_are(
    forwarded: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exit) as left:
        opening.open_page("rehearsal", "", "grafanna", port=0, show=False)
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "open grafanna: no add-on shows a page of that name" in said
    assert "there are: alertmanager, grafana, prometheus, victorialogs" in said
    assert forwarded == []


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("prometheus", INVENTORY, "`observability`"),
        ("grafana", f"{INVENTORY}observability: {{}}\n", "`observability.grafana`"),
        (
            "victorialogs",
            f"{INVENTORY}observability: {{logs: {{store: loki}}}}\n",
            "`observability.logs.store: victorialogs`",
        ),
    ],
)
def test_a_lab_without_it_is_told_which_field_brings_it(name: str, text: str, field: str) -> None:
    with pytest.raises(InputError, match=f"open {name}: is no part of lab test; field {field} brings it"):
        opening.page_of(inventory(text), name)


def test_what_the_lan_reaches_is_told_and_not_forwarded(
    forwarded: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    opening.open_page("rehearsal", "", "grafana", port=0, show=False)
    said = capsys.readouterr()
    assert said.out == "http://10.1.1.31:30000\n"
    assert forwarded == []


@pytest.mark.parametrize(
    ("name", "target", "node"),
    [
        ("prometheus", "10.244.4.8:9090", "worker-1"),
        ("alertmanager", "10.244.5.9:9093", "worker-2"),
        ("victorialogs", "10.1.1.32:9428", "worker-2"),
    ],
)
def test_what_the_lan_does_not_reach_is_forwarded_by_the_node_of_a_ready_pod(
    forwarded: list[Any], name: str, target: str, node: str
) -> None:
    opening.open_page("rehearsal", "", name, port=8080, show=False)
    assert forwarded == [(target, node, 8080)]


def test_from_a_network_of_its_own_everything_is_forwarded(
    forwarded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    apart(monkeypatch)
    opening.open_page("rehearsal", "", "grafana", port=0, show=False)
    assert forwarded == [("10.244.4.7:3000", "worker-1", 0)]


@pytest.mark.parametrize("show", [False, True])
def test_the_password_is_printed_only_when_it_is_asked_for(
    forwarded: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path, show: bool
) -> None:
    opening.open_page("rehearsal", "", "grafana", port=4000, show=show)
    said = capsys.readouterr()
    file = tmp_path / "data" / "test" / "passwords" / "monitoring.grafana-admin"
    assert forwarded
    assert file.stat().st_mode & 0o777 == 0o600
    assert ("open-sesame" in said.out + said.err) is show
    assert (f"user admin, password in {file} (--show prints it)" in said.err) is not show


def test_without_a_password_anywhere_the_build_is_named(
    forwarded: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "data" / "test" / "passwords" / "monitoring.grafana-admin").unlink()
    with pytest.raises(Exit) as left:
        opening.open_page("rehearsal", "", "grafana", port=0, show=True)
    said = capsys.readouterr().err
    assert left.value.code == 1
    assert "has the password of admin" in said
    assert "next: invoke build" in said
    assert forwarded == []


def test_a_page_for_everybody_names_no_password(
    forwarded: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    opening.open_page("rehearsal", "", "prometheus", port=0, show=True)
    assert forwarded
    assert capsys.readouterr().err == ""


def test_no_ready_pod_is_told_with_the_command_that_shows_pods(
    forwarded: list[Any], api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.objects[f"{SLICES}prometheus/prometheus-x"] = piece(
        "prometheus", endpoint("10.1.1.9", "worker-1", ready=False)
    )
    with pytest.raises(Exit) as left:
        opening.open_page("rehearsal", "", "prometheus", port=0, show=False)
    said = capsys.readouterr().err
    assert left.value.code == 1
    assert "Service monitoring/prometheus has no pod that is ready" in said
    assert "next: invoke kubectl -- -n monitoring get pods -o wide" in said
    assert forwarded == []


def test_an_api_that_does_not_answer_is_told_with_the_next_command(
    forwarded: list[Any], api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(_path: str) -> list[Object]:
        raise Unavailable("API: https://10.1.1.50:6443: no route")

    monkeypatch.setattr(api, "items", silent)
    with pytest.raises(Exit) as left:
        opening.open_page("rehearsal", "", "grafana", port=0, show=False)
    said = capsys.readouterr().err
    assert left.value.code == 1
    assert "test cannot be asked: API: https://10.1.1.50:6443: no route" in said
    assert "next: invoke status" in said
    assert forwarded == []


def test_a_lab_without_a_network_names_the_build(
    forwarded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "open_lab", lambda found: Lab(found, tmp_path, FakeProvider()))
    with pytest.raises(Exit) as left:
        opening.open_page("rehearsal", "", "grafana", port=0, show=False)
    assert left.value.code == 1
    assert "the lab has no network yet" in capsys.readouterr().err
    assert forwarded == []


def test_pods_of_other_services_and_without_a_node_are_no_endpoints(api: FakeApi) -> None:
    outside = {"addresses": ["10.9.9.9"], "conditions": {"ready": True}}
    api.objects[f"{SLICES}prometheus/more"] = piece("prometheus", outside)
    assert ready_endpoints(api, "monitoring", "prometheus") == [PodEndpoint("10.244.4.8", "worker-1")]
    assert ready_endpoints(api, "monitoring", "unknown") == []


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused_before_anything_is_opened(port: int) -> None:
    with pytest.raises(InputError, match=f"--port {port}: must be a port"), nullcontext(listener(port)):
        pass


def test_the_tunnel_shares_no_connection_and_fails_when_it_cannot_forward() -> None:
    argv = tunnel_argv(FakeSsh(), "worker-1", Path("/run/x/page"), "10.244.4.8:9090")
    assert argv[-4:] == ["-L", "/run/x/page:10.244.4.8:9090", "worker-1", "echo forwarding; exec cat"]
    assert {"ControlMaster=no", "ControlPath=none", "ExitOnForwardFailure=yes", "BatchMode=yes"} < {*argv}
