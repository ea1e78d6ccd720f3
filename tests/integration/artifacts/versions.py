"""What programs of the pinned versions say of themselves, whatever they run on."""

from __future__ import annotations

SAID = [
    (["kubeadm", "version", "-o", "short"], "v1.31.0"),
    (["kubelet", "--version"], "Kubernetes v1.31.0"),
    (["kubectl", "version", "--client"], "Client Version: v1.31.0"),
    (["containerd", "--version"], "v1.7.28"),
    (["etcdctl", "version"], "etcdctl version: 3.5.15"),
    (["etcdutl", "version"], "etcdutl version: 3.5.15"),
    (["crictl", "--version"], "v1.34.0"),
]
