"""What programs of the pinned versions say of themselves, whatever they run on."""

from __future__ import annotations

from lab.artifacts.wanted import wanted
from lab.inventory import load

_VERSIONS = dict(wanted(load("rehearsal")))

SAID = [
    (["kubeadm", "version", "-o", "short"], _VERSIONS["kubernetes"]),
    (["kubelet", "--version"], f"Kubernetes {_VERSIONS['kubernetes']}"),
    (["kubectl", "version", "--client"], f"Client Version: {_VERSIONS['kubernetes']}"),
    (["containerd", "--version"], _VERSIONS["containerd"]),
    (["etcdctl", "version"], f"etcdctl version: {_VERSIONS['etcd-tools'].removeprefix('v')}"),
    (["etcdutl", "version"], f"etcdutl version: {_VERSIONS['etcd-tools'].removeprefix('v')}"),
    (["crictl", "--version"], _VERSIONS["crictl"]),
]
