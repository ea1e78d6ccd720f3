"""Layer cluster: certificates, how long they last, who signs them and whom they name."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography import x509

from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outside import served_certificate
from lab.checks.served import end_dates, ending, served_ports
from lab.checks.verbs import holds, nothing, succeeds
from lab.inventory.models import Inventory

LEAF_LEFT = timedelta(days=30)
CA_LEFT = timedelta(days=365)


@pytest.mark.check("L2-17")
@pytest.mark.each("nodes")
def test_certificates_are_valid_for_long(facts: Facts) -> None:
    """No certificate on the machine ends within 30 days, no CA within a year."""
    now = datetime.now(UTC)
    short = {}
    for path, text in facts.certificates.items():
        pem = text if text.startswith("-----") else base64.b64decode(text).decode()
        certificate = x509.load_pem_x509_certificate(pem.encode())
        try:
            is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            is_ca = False
        if certificate.not_valid_after_utc - now < (CA_LEFT if is_ca else LEAF_LEFT):
            short[path] = f"until {certificate.not_valid_after_utc:%Y-%m-%d}"
        elif certificate.not_valid_before_utc > now:
            short[path] = f"not before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
    nothing(
        "certificates that end soon",
        short,
        rule="leaf 30 days, CA a year",
        command="kubeadm certs check-expiration",
    )
    holds(
        "certificates",
        bool(facts.certificates),
        expected="some",
        seen="none",
        command="ls /etc/kubernetes/pki",
    )


@pytest.mark.check("L2-17")
@pytest.mark.each("nodes")
def test_served_certificates_are_valid_for_long(driver: Driver, host: str) -> None:
    """No certificate that the API server, etcd or the kubelet of the machine serves ends within 30 days."""
    ports = served_ports(driver.inventory, host)
    address = driver.inventory.hosts[host].address
    nothing(
        "certificates that are served and end soon",
        ending(end_dates(driver, host, ports), ports, LEAF_LEFT, datetime.now(UTC)),
        rule="30 days left",
        command=f"openssl s_client -connect {address}:PORT </dev/null | openssl x509 -noout -enddate",
        host=host,
    )


@pytest.mark.check("L2-17")
def test_every_master_has_the_same_authorities(driver: Driver) -> None:
    """Cluster, front-proxy and etcd CA are one each: every machine holds the same."""
    found: dict[str, dict[str, list[str]]] = {}
    for facts in driver.all_facts(driver.inventory.nodes):
        for path, text in facts.certificates.items():
            if path.endswith("ca.crt"):
                print_ = x509.load_pem_x509_certificate(text.encode()).serial_number
                found.setdefault(path, {}).setdefault(f"{print_:x}", []).append(facts.host)
    several = {path: owners for path, owners in found.items() if len(owners) > 1}
    nothing(
        "authorities that differ",
        several,
        rule="one a file name",
        command="openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -serial",
    )


@pytest.mark.check("L2-17")
def test_the_served_certificate_names_all_endpoints(inventory: Inventory) -> None:
    """The certificate served by each master, and through the balancer, names balancer and all masters."""
    port = inventory.kubernetes.api_port
    names = {inventory.balancer, *inventory.masters}
    addresses = {str(inventory.hosts[name].address) for name in names}
    missing: dict[str, list[str]] = {}
    for host in (inventory.balancer, *inventory.masters):
        address = str(inventory.hosts[host].address)
        command = f"openssl s_client -connect {address}:{port} </dev/null"
        der = succeeds(f"certificate of {host}", partial(served_certificate, address, port), command=command)
        held = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        said = set(held.value.get_values_for_type(x509.DNSName))
        said |= {str(item) for item in held.value.get_values_for_type(x509.IPAddress)}
        if lacking := sorted((names | addresses) - said):
            missing[host] = lacking
    nothing(
        "names missing in the certificates served by",
        missing,
        rule="none",
        command=f"openssl s_client -connect HOST:{port} </dev/null | openssl x509 -noout -ext subjectAltName",
    )
