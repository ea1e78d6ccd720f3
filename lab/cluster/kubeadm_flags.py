"""Flags that kubeadm writes into each manifest of the control plane, beside those that the inventory decides.

As `kubeadm init phase control-plane` of Kubernetes 1.31 makes them (app/phases/controlplane/manifests.go);
row P2-40 asks kubeadm itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.objects import Object

API_SERVER = "kube-apiserver"
CONTROLLERS = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
COMPONENTS = (API_SERVER, CONTROLLERS, SCHEDULER)
_PKI = "/etc/kubernetes/pki"


def constant_flags(cluster: Object, component: str) -> dict[str, str]:
    """What kubeadm gives a component on every master alike; `cluster` is our ClusterConfiguration."""
    if component == API_SERVER:
        issuer = f"https://kubernetes.default.svc.{cluster['networking']['dnsDomain']}"
        return {**_API_SERVER, "service-account-issuer": issuer}
    if component == CONTROLLERS:
        return {**_CONTROLLERS, **_client("controller-manager"), "cluster-name": cluster["clusterName"]}
    return {**_SCHEDULER, **_client("scheduler")}


def _client(name: str) -> dict[str, str]:
    flags = ("authentication-kubeconfig", "authorization-kubeconfig", "kubeconfig")
    return dict.fromkeys(flags, f"/etc/kubernetes/{name}.conf")


_API_SERVER: Mapping[str, str] = {
    "allow-privileged": "true",
    "authorization-mode": "Node,RBAC",
    "client-ca-file": f"{_PKI}/ca.crt",
    "enable-admission-plugins": "NodeRestriction",
    "enable-bootstrap-token-auth": "true",
    "etcd-cafile": f"{_PKI}/etcd/ca.crt",
    "etcd-certfile": f"{_PKI}/apiserver-etcd-client.crt",
    "etcd-keyfile": f"{_PKI}/apiserver-etcd-client.key",
    "etcd-servers": "https://127.0.0.1:2379",
    "kubelet-client-certificate": f"{_PKI}/apiserver-kubelet-client.crt",
    "kubelet-client-key": f"{_PKI}/apiserver-kubelet-client.key",
    "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
    "proxy-client-cert-file": f"{_PKI}/front-proxy-client.crt",
    "proxy-client-key-file": f"{_PKI}/front-proxy-client.key",
    "requestheader-allowed-names": "front-proxy-client",
    "requestheader-client-ca-file": f"{_PKI}/front-proxy-ca.crt",
    "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    "requestheader-group-headers": "X-Remote-Group",
    "requestheader-username-headers": "X-Remote-User",
    "service-account-key-file": f"{_PKI}/sa.pub",
    "service-account-signing-key-file": f"{_PKI}/sa.key",
    "tls-cert-file": f"{_PKI}/apiserver.crt",
    "tls-private-key-file": f"{_PKI}/apiserver.key",
}
_CONTROLLERS: Mapping[str, str] = {
    "allocate-node-cidrs": "true",
    "bind-address": "127.0.0.1",
    "client-ca-file": f"{_PKI}/ca.crt",
    "cluster-signing-cert-file": f"{_PKI}/ca.crt",
    "cluster-signing-key-file": f"{_PKI}/ca.key",
    "controllers": "*,bootstrapsigner,tokencleaner",
    "leader-elect": "true",
    "requestheader-client-ca-file": f"{_PKI}/front-proxy-ca.crt",
    "root-ca-file": f"{_PKI}/ca.crt",
    "service-account-private-key-file": f"{_PKI}/sa.key",
    "use-service-account-credentials": "true",
}
_SCHEDULER: Mapping[str, str] = {"bind-address": "127.0.0.1", "leader-elect": "true"}
