"""Seeded defects of node_exporter: who is let in, whose figures it tells, and what it does not tell."""

from __future__ import annotations

from typing import Any

from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Breakage, breakage, edited

TLS, WEB = "/etc/node-exporter/tls", "/etc/node-exporter/web.yml"
UNIT = "/etc/systemd/system/node-exporter.service"
FIGURES = "/var/lib/node-exporter"
TELLS = ("P1-31", "P1-32")
"""What nobody can know of a machine whose node_exporter does not answer."""


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    worker, other = lab.workers[:2]
    return [
        breakage(
            layer="node",
            name="exporter-asks-nobody",
            title="node_exporter answers whoever asks",
            row="P1-30",
            host=worker,
            says="no certificate: HTTP/1.. 200.*and should be refused",
            reddens=("P1-01",),
            **edited(
                "exporter-asks-nobody",
                WEB,
                "s/RequireAndVerifyClientCert/VerifyClientCertIfGiven/; /client_allowed_sans/d",
            ),
        ),
        breakage(
            layer="node",
            name="exporter-takes-any-client",
            title="node_exporter answers any client of the lab's CA",
            row="P1-30",
            host=other,
            says="a certificate of another name: HTTP/1.. 200.*and should be refused",
            reddens=("P1-01",),
            **edited("exporter-takes-any-client", WEB, "/client_allowed_sans/d"),
        ),
        breakage(
            layer="node",
            name="exporter-stopped",
            title="node_exporter of the balancer does not run",
            row="P1-30",
            host=lab.balancer,
            says="the lab's client: ConnectionRefusedError.*and should be answered",
            reddens=("L1-14", "L1-17", *TELLS),
            damage="systemctl stop node-exporter",
            repair="systemctl start node-exporter",
            touches=("unit node-exporter",),
            settles=True,
        ),
        breakage(
            layer="node",
            name="exporter-of-another-ca",
            title="node_exporter shows a certificate that the lab's CA has not signed",
            row="P1-30",
            host=lab.masters[0],
            says="the lab's client: SSLCertVerificationError.*and should be answered",
            reddens=TELLS,
            **_signed_by_itself(),
        ),
        breakage(
            layer="node",
            name="exporter-tells-of-no-unit",
            title="node_exporter was started without the units of this machine",
            row="P1-31",
            host=lab.masters[1],
            says="units that it does not tell to run.*kubelet.service",
            reddens=("L1-14", "P1-01"),
            **_started_with("exporter-tells-of-no-unit", 's/unit-include=[^"]*/unit-include=none.service/'),
            settles=True,
        ),
        breakage(
            layer="node",
            name="certificates-untold",
            title="nobody looks any more when certificates end",
            row="P1-32",
            host=lab.masters[2],
            says="certificates whose end is not told.*/etc/kubernetes/pki/apiserver.crt.*nothing",
            reddens=("L1-14", "P1-31"),
            damage=f"systemctl stop certificate-metrics.timer && rm -f {FIGURES}/certificates.prom",
            repair="systemctl start certificate-metrics.service certificate-metrics.timer",
            touches=("unit certificate-metrics.timer", f"file {FIGURES}/certificates.prom"),
            settles=True,
        ),
    ]


def _started_with(name: str, program: str) -> dict[str, Any]:
    """Damage and repair of its unit's file, of which systemd and the program know at once."""
    found, then = edited(name, UNIT, program), "systemctl daemon-reload && systemctl restart node-exporter"
    back = f"test ! -e {KEPT}/{name} || {{ {found['repair']} && {then}; }}"
    return {**found, "damage": f"{found['damage']} && {then}", "repair": back}


def _signed_by_itself() -> dict[str, Any]:
    """Damage and repair of a certificate: of the same key, and signed with it."""
    kept, file = f"{KEPT}/exporter-of-another-ca", f"{TLS}/tls.crt"
    made = f"openssl req -x509 -new -key {TLS}/tls.key -subj /CN=stranger -days 30 -out {file}"
    return {
        # the time returns with the content: a unit that is older than its certificate is started anew
        "damage": f"mkdir -p {KEPT} && cp -p {file} {kept} && {made} && touch -r {kept} {file}",
        "repair": f"test ! -e {kept} || {{ cp -p {kept} {file} && rm {kept}; }}",
        "touches": (f"file {file}",),
    }
