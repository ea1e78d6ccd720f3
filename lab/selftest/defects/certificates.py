"""Defects of the cluster's certificates and keys: too old, too open, or of another CA."""

from __future__ import annotations

from shlex import quote
from typing import Any

from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Breakage

PKI, KUBELET = "/etc/kubernetes/pki", "/var/lib/kubelet/pki"


def _breakage(name: str, title: str, row: str, host: str, says: str, **fields: object) -> Breakage:
    return Breakage(name=name, title=title, layer="cluster", row=row, host=host, says=says, **fields)  # type: ignore[arg-type]


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    second, third = lab.masters[1:3]
    worker = lab.workers[0]
    short = (
        f"mkdir -p {KEPT} && openssl req -new -key {PKI}/etcd/healthcheck-client.key -subj /CN=defect"
        f" | openssl x509 -req -CA {PKI}/etcd/ca.crt -CAkey {PKI}/etcd/ca.key -CAserial {KEPT}/serial"
        f" -CAcreateserial -days 5 -out {KEPT}/short.new 2>/dev/null"
    )
    endpoint = f"{lab.hosts[third].address}:{lab.kubernetes.api_port}"
    service = lab.kubernetes.service_subnet[1]  # the API's own
    names = f"subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:{service}"
    served = (
        f"mkdir -p {KEPT} && echo {quote(names)} > {KEPT}/names"
        f" && openssl req -new -key {PKI}/apiserver.key -subj /CN=kube-apiserver"
        f" | openssl x509 -req -CA {PKI}/ca.crt -CAkey {PKI}/ca.key -CAserial {KEPT}/serial -CAcreateserial"
        f" -days 100 -extfile {KEPT}/names -out {KEPT}/served.new 2>/dev/null"
    )
    ending = (
        f"mkdir -p {KEPT} && echo subjectAltName=$(openssl x509 -in {PKI}/apiserver.crt -noout"
        f" -ext subjectAltName | tail -n 1 | sed 's/IP Address:/IP:/g; s/ //g') > {KEPT}/all-names"
        f" && openssl req -new -key {PKI}/apiserver.key -subj /CN=kube-apiserver"
        f" | openssl x509 -req -CA {PKI}/ca.crt -CAkey {PKI}/ca.key -CAserial {KEPT}/serial -CAcreateserial"
        f" -days 5 -extfile {KEPT}/all-names -out {KEPT}/ending.new 2>/dev/null"
    )
    kubelet = (
        f"mkdir -p {KEPT} && openssl req -x509 -key {KUBELET}/kubelet.key -subj /CN=defect -days 5"
        f" -out {KEPT}/kubelet.new 2>/dev/null"
    )
    other = (
        f"mkdir -p {KEPT} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        f" -keyout /dev/null -subj /CN=kubernetes -days 3650 -out {KEPT}/other.new 2>/dev/null"
    )
    return [
        _breakage(
            "certificate-ends-soon",
            "a certificate ends in five days",
            "L2-17",
            second,
            "healthcheck-client.crt: until",
            **_swapped(short, f"{KEPT}/short.new", f"{PKI}/etcd/healthcheck-client.crt"),
        ),
        _breakage(
            "kubelet-certificate-ends-soon",
            "the certificate that a kubelet serves ends in five days, and nobody renews it",
            "L2-17",
            worker,
            "kubelet.crt: until",
            listed=True,
            **_swapped(kubelet, f"{KEPT}/kubelet.new", f"{KUBELET}/kubelet.crt"),
        ),
        _breakage(
            "served-certificate-ends-soon",
            "an API server serves a certificate that ends in five days",
            "L2-17",
            third,
            f"certificates that are served and end soon.*{lab.kubernetes.api_port}/tcp: until",
            alone=True,
            listed=True,
            **_swapped(ending, f"{KEPT}/ending.new", f"{PKI}/apiserver.crt", served_at=endpoint),
        ),
        _breakage(
            "another-authority",
            "a worker trusts another cluster's authority",
            "L2-17",
            "",
            f"authorities that differ.*{worker}",
            alone=True,  # the kubelet takes the file at once and refuses every exec
            at=worker,
            **_swapped(other, f"{KEPT}/other.new", f"{PKI}/ca.crt"),
        ),
        _breakage(
            "certificate-names",
            "a master's certificate does not name the balancer",
            "L2-17",
            "",
            f"names missing in the certificates served by.*{third}: ",
            at=third,
            alone=True,
            **_swapped(served, f"{KEPT}/served.new", f"{PKI}/apiserver.crt", served_at=endpoint),
        ),
    ]


def _swapped(make: str, new: str, path: str, *, served_at: str = "") -> dict[str, Any]:
    """Damage and repair of a certificate in whose place another is put; `served_at` waits for it."""
    kept = f"{KEPT}/{path.replace('/', '_')}"
    # the API server takes a new certificate up by itself, within a second or two
    wait = (
        f" && for i in $(seq 200); do openssl s_client -connect {served_at} </dev/null"
        f" 2>/dev/null | openssl x509 | cmp -s - {path} && exit 0; sleep 0.3; done; exit 1"
        if served_at
        else ""
    )
    return {
        "damage": f"{make} && cat {path} > {kept}.part && mv {kept}.part {kept} && cat {new} > {path}{wait}",
        "repair": f"test ! -e {kept} || {{ cat {kept} > {path} && rm {kept}; }}",
        "touches": (f"file {path}",),
    }
