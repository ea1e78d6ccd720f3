"""C49: the end of a certificate as it is served, and the one that nothing renews."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.checks.driver import Driver
from lab.checks.served import end_dates, ending, read_dates, served_ports
from lab.hosts import remote_facts
from lab.labs import Lab
from lab.render.bundle import pins
from tests.fake_host import certificate
from tests.fakes import FakeProvider, FakeSsh
from tests.world import inventory

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
SAID = "10250 notAfter=Nov 30 11:00:00 2027 GMT\n6443 notAfter=Dec  9 08:01:02 2026 GMT\n2379 none\n"


def test_c49_what_is_served_is_judged_by_its_end() -> None:
    dates = read_dates(SAID)
    assert dates[6443] == datetime(2026, 12, 9, 8, 1, 2, tzinfo=UTC)
    assert ending(dates, (10250, 6443, 2379), MONTH, NOW) == {
        "6443/tcp": "until 2026-12-09",
        "2379/tcp": "serves none",
    }
    assert ending(dates, (10250,), MONTH, NOW) == {}


def test_c49_every_port_with_a_certificate_of_the_cluster_is_asked(tmp_path: Path) -> None:
    found, ssh = inventory(), FakeSsh()
    assert served_ports(found, "worker-1") == (10250,)
    assert served_ports(found, "master-2") == (10250, 6443, 2379, 2380)
    ssh.on("master-2", "openssl s_client -connect 10.1.1.12:$port", SAID)
    driver = Driver(Lab(found, tmp_path, FakeProvider(), ssh=ssh), tmp_path, pins(found))
    assert set(end_dates(driver, "master-2", served_ports(found, "master-2"))) == {10250, 6443}
    assert "for port in 10250 6443 2379 2380;" in ssh.commands("openssl")[0][1]


def test_c49_the_certificate_that_a_kubelet_serves_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lasts a year, and nothing renews it."""
    folder = tmp_path / "var/lib/kubelet/pki"
    folder.mkdir(parents=True)
    (folder / "kubelet.crt").write_text(certificate())
    monkeypatch.setattr(remote_facts, "Path", lambda path: tmp_path / path.lstrip("/"))
    assert list(remote_facts.certificates({})) == [str(folder / "kubelet.crt")]
