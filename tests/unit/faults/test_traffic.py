"""What is asked around a fault, and how long each was silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.authority import Authority
from lab.checks.driver import Driver
from lab.checks.outside import Answer
from lab.checks.verbs import Refused
from lab.faults import traffic as module
from lab.faults.probes import Prober
from lab.faults.traffic import ADDRESS, API, INGRESS, Traffic, echo_probe, probers
from lab.inventory.addon_sections import domain
from lab.labs import Lab
from lab.render.bundle import pins
from lab.report.series import Probe
from tests.fakes import FakeProvider
from tests.world import INVENTORY, inventory


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A lab with an ingress, its CA made and its API known."""
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    lab = Lab(inventory(), tmp_path, FakeProvider())
    Authority(lab.keys.folder / "ca", domain(lab.inventory)).issue()
    cluster = type("Api", (), {"tls": None})()
    return Driver(lab, tmp_path, pins(lab.inventory), stand_in=cluster)


def silent(target: str, text: str) -> Prober:
    """A prober that has asked: `.` a good answer, `x` none, one a second."""
    made = Prober(target, lambda: "")
    made._probes = [Probe(t=number, ok=mark == ".", ms=1) for number, mark in enumerate(text)]
    return made


@pytest.mark.parametrize(("address", "asked"), [("", [API]), ("10.1.1.101", [API, ADDRESS, INGRESS])])
def test_the_sample_application_is_asked_at_its_address_and_through_the_ingress(
    driver: Driver, address: str, asked: list[str]
) -> None:
    assert [item.target for item in probers(driver, "fire-1", address)] == asked


def test_a_lab_without_ingress_is_not_asked_for_one(driver: Driver, tmp_path: Path) -> None:
    text = INVENTORY.replace("ingress: {address: 10.1.1.100}\n", "")
    lab = Lab(inventory(text), tmp_path, FakeProvider())
    bare = Driver(lab, tmp_path, pins(lab.inventory), stand_in=driver.cluster)
    assert [item.target for item in probers(bare, "fire-1", "10.1.1.101")] == [API, ADDRESS]


def test_the_ingress_is_asked_by_name_over_verified_tls(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def get(address: str, port: int, **more: Any) -> Answer:
        asked.append((address, port, more["name"], more["tls"].verify_mode.name))
        return Answer(200, '{"pod": "web-1", "node": "worker-1"}', {})

    monkeypatch.setattr(module, "http_get", get)
    assert probers(driver, "fire-1", "10.1.1.101")[-1]._ask() == "web-1 on worker-1"
    assert asked == [("10.1.1.100", 443, f"fire-1.{domain(driver.inventory)}", "CERT_REQUIRED")]


def test_an_answer_that_is_not_the_applications_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "http_get", lambda *_, **__: Answer(404, "404 page not found", {}))
    with pytest.raises(Refused, match=r"web\.test: status 404"):
        echo_probe("10.1.1.100", 443, name="web.test")()


def test_each_target_has_a_silence_of_its_own() -> None:
    asked = [silent(API, "..xx....x"), silent(ADDRESS, ".........."), silent(INGRESS, "..xxxxxxxx")]
    found = Traffic(None, None, (), None, asked, (), "")  # type: ignore[arg-type]
    assert found.silences(since=1.5) == {API: 3.0, ADDRESS: 1.0, INGRESS: None}
    assert found.silences(since=4.5, until=6)[API] == 1.0
