"""node_exporter: what its clients are told, and what its textfile says; answers as v1.12.1 gives them."""

from __future__ import annotations

import base64
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509

from addons.node_exporter import asking
from addons.node_exporter.asking import KNOWN, NOBODY, OTHER, Said
from lab.authority import Authority
from lab.inventory.models import Inventory
from tests.world import INVENTORY, inventory

WRITER = Path(asking.__file__).with_name("host") / "certificate-metrics.j2"
ANSWERED = Said("HTTP/1.0 200 OK", "# HELP\n", "")
GOOD = {
    KNOWN: ANSWERED,
    NOBODY: Said(
        "", "", "SSLError: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required"
    ),
    OTHER: Said("", "", "SSLError: [SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate"),
}
STOPPED = Said("", "", "ConnectionRefusedError: [Errno 111] Connection refused")


@pytest.fixture
def lab() -> Inventory:
    return inventory(INVENTORY + "observability: {}\n")


def test_an_answer_for_its_client_alone_is_right() -> None:
    assert asking.faults(GOOD) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({NOBODY: ANSWERED}, f"{NOBODY}: HTTP/1.0 200 OK, and should be refused"),
        ({OTHER: ANSWERED}, f"{OTHER}: HTTP/1.0 200 OK, and should be refused"),
        ({KNOWN: STOPPED}, f"{KNOWN}: ConnectionRefusedError"),
        ({KNOWN: Said("HTTP/1.0 503 x", "", "")}, f"{KNOWN}: HTTP/1.0 503 x, and should be answered"),
        (
            {OTHER: STOPPED},
            f"{OTHER}: ConnectionRefusedError: [Errno 111] Connection refused, and should be refused by",
        ),
        (
            {NOBODY: Said("", "", "TimeoutError: timed out")},
            f"{NOBODY}: TimeoutError: timed out, and should be",
        ),
    ],
)
def test_every_other_answer_is_named(change: dict[str, Said], says: str) -> None:
    (told,) = asking.faults(GOOD | change)
    assert told.startswith(says)


def test_it_is_asked_by_another_node(lab: Inventory) -> None:
    assert {name: asking.asker(lab, name) for name in ("haproxy", "worker-1", "master-1")} == {
        "haproxy": "worker-1",
        "worker-1": "worker-2",
        "master-1": "worker-1",
    }
    assert asking.address_of(lab, "haproxy") == "https://10.1.1.50:9100/metrics"


def certificates(root: Path) -> dict[str, datetime]:
    """A master's certificates below a folder that stands for /, and when each ends."""
    made = Authority(root / "ca", "lab.internal")
    places = (
        *("etc/kubernetes/pki/apiserver.crt", "etc/kubernetes/pki/etcd/server.crt"),
        *("var/lib/kubelet/pki/kubelet-client-current.pem", "etc/node-exporter/tls/tls.crt"),
        "etc/kubernetes/admin.conf",
    )
    found = {}
    for place in places:
        path, leaf = root / place, made.issue()
        path.parent.mkdir(parents=True, exist_ok=True)
        held = base64.b64encode(leaf.certificate.encode()).decode()
        kubeconfig = f"users:\n- user:\n    client-certificate-data: {held}\n    client-key-data: x\n"
        path.write_text(kubeconfig if path.suffix == ".conf" else leaf.certificate + leaf.key)
        found[f"/{place}"] = x509.load_pem_x509_certificate(leaf.certificate.encode()).not_valid_after_utc
    return found


def written(root: Path) -> str:
    out = root / "certificates.prom"
    subprocess.run(["sh", WRITER, out, root], check=True, capture_output=True)
    assert [path.name for path in root.glob("certificates.prom*")] == ["certificates.prom"]
    return out.read_text()


def test_the_end_of_each_certificate_is_written_as_it_stands_in_it(tmp_path: Path) -> None:
    known = certificates(tmp_path)
    (tmp_path / "etc/kubernetes/kubelet.conf").write_text("client-certificate: /var/lib/kubelet/pki/x.pem\n")
    text = written(tmp_path)
    assert asking.ends(text) == {path: end.timestamp() for path, end in known.items()}
    assert text.splitlines()[1] == "# TYPE plumbline_certificate_not_after_seconds gauge"
    assert asking.untold(list(known), text) == {}
    assert "PRIVATE KEY" not in text


def test_what_is_no_certificate_is_told_as_ended_long_ago(tmp_path: Path) -> None:
    certificates(tmp_path)
    (tmp_path / "etc/kubernetes/pki/apiserver.crt").write_text("x")
    found = asking.untold(
        ["/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/ca.crt"], written(tmp_path)
    )
    assert found == {
        "/etc/kubernetes/pki/apiserver.crt": "is no certificate",
        "/etc/kubernetes/pki/ca.crt": "nothing",
    }


def test_a_machine_without_kubernetes_has_its_own_alone(tmp_path: Path) -> None:
    assert asking.ends(written(tmp_path)) == {}


def test_values_are_read_from_the_text_format() -> None:
    text = '# HELP x y\nx{a="1",b="2"} 3\nx{a="{} "} 4e+09\nxy{a="1"} 5\n'
    assert asking.values(text, "x") == {'a="1",b="2"': 3.0, 'a="{} "': 4e9}
