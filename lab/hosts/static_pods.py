"""The control plane's processes: which of them run with certificates and kubeconfigs of before a renewal.

A process that has read a file once goes on with it: months after a renewal its certificate ends although
every file is good (kubernetes/kubeadm#2409). What a component reads again by itself is no reason to restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab.answers import AnswerPart
from lab.hosts.units import SLACK_SECONDS, clock

READ_AGAIN: Mapping[str, tuple[str, ...]] = {
    # k8s.io/apiserver dynamiccertificates, client-go transport (ReloadTLSFiles), etcd's clientv3
    "kube-apiserver": (
        *("tls-cert-file", "tls-private-key-file", "client-ca-file", "requestheader-client-ca-file"),
        *("proxy-client-cert-file", "proxy-client-key-file"),
        *("kubelet-client-certificate", "kubelet-client-key", "etcd-certfile", "etcd-keyfile"),
    ),
    # controller/certificates/signer: dynamiccertificates
    "kube-controller-manager": (
        *("tls-cert-file", "tls-private-key-file", "client-ca-file", "requestheader-client-ca-file"),
        *("cluster-signing-cert-file", "cluster-signing-key-file"),
    ),
    "kube-scheduler": (
        *("tls-cert-file", "tls-private-key-file", "client-ca-file", "requestheader-client-ca-file"),
    ),
    # client/pkg/transport: GetCertificate and GetClientCertificate read the files at each handshake
    "etcd": ("cert-file", "key-file", "peer-cert-file", "peer-key-file"),
}
"""Flags, by component, whose files it reads again by itself."""


class HeldStaticPod(AnswerPart):
    """One component's process: when it was started, and the files of its flags with their times.

    Times are in seconds since 1970. Files that are read again by themselves are left out, and folders.
    """

    since: float
    files: Mapping[str, float]


@dataclass(frozen=True)
class Outdated:
    """A component that must be started anew, and why."""

    component: str
    reason: str

    @property
    def sentence(self) -> str:
        """What a plan says."""
        return f"restart {self.component}: {self.reason}"


def read_at_start() -> dict[str, Sequence[str]]:
    """What is asked of a master: by component, the flags whose files do not count."""
    return dict(READ_AGAIN)


def outdated(held: Mapping[str, HeldStaticPod]) -> Iterator[Outdated]:
    """Components that run with a file of before its last change."""
    for component, pod in held.items():
        newer = sorted(path for path, time in pod.files.items() if time > pod.since + SLACK_SECONDS)
        if newer:
            written, begun = clock(pod.files[newer[0]]), clock(pod.since)
            yield Outdated(component, f"it runs since {begun}, and {newer[0]} is of {written}")
