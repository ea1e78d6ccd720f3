"""kubeadm's documents (API v1beta4): cluster, init, join, reset and upgrade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import Pins, host_context
from lab.render.components import kube_proxy_settings, kubelet_settings
from lab.render.detected import merged, said
from lab.render.firewall import relayed
from lab.render.patience import PATCHES
from lab.render.templates import render

IGNORED_IN_CONTAINERS = [
    "SystemVerification",
    "Swap",
    "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
]
"""Preflight checks of kubeadm that look at the kernel's configuration or at the host's own settings."""
TIMEOUTS = {
    "controlPlaneComponentHealthCheck": 240,
    "discovery": 300,
    "etcdAPICall": 120,
    "kubeletHealthCheck": 240,
    "kubernetesAPICall": 60,
    "tlsBootstrap": 300,
    "upgradeManifests": 300,
}
"""Seconds that kubeadm waits by itself (v1beta4, type Timeouts: the defaults of SetDefaultsTimeouts)."""
PATIENT_FLAGS = {
    "api_server": {"etcd-readycheck-timeout": 2, "etcd-healthcheck-timeout": 2},
    "controller_manager": {"leader-elect-lease-duration": 15, "leader-elect-renew-deadline": 10},
}
"""Seconds that the control plane waits by itself (--help of kube-apiserver and kube-controller-manager).
Where etcd answers slower than that, /readyz says 500 and the balancer sends nobody there."""
IGNORED_ALWAYS = ["HTTPProxyCIDR"]
"""kubeadm 1.31.0 built with a current Go refuses its own bracketed IPv4 URL in this check."""


@dataclass(frozen=True)
class JoinSecrets:
    """Made on the cluster right before a join and kept nowhere. `certificate_key` only for a master."""

    token: str
    ca_hash: str
    certificate_key: str = ""


def _values(inventory: Inventory, traits: Traits, pins: Pins, name: str) -> dict[str, Any]:
    host = inventory.hosts[name]
    labels = ",".join(f"{key}={value}" for key, value in sorted(host.labels.items()))
    registration = {
        # every node has them before kubeadm runs; where its runtime is slow to answer, kubeadm would pull
        "imagePullPolicy": "Never",
        # kubeadm wants a port to be free on every address, and these are taken on the LAN's alone
        "ignorePreflightErrors": [
            *_ignored(traits),
            *(f"Port-{port}" for port in sorted(relayed(inventory, name))),
        ],
        "kubeletExtraArgs": [{"name": "node-labels", "value": labels}] if labels else [],
    }
    return host_context(inventory, traits, pins, name) | {
        "timeouts": timeouts(inventory),
        "patches": patches(inventory, name),
        "patient_flags": patient_flags(inventory),
        "registration": {"nodeRegistration": registration},
        "cluster": said("ClusterConfiguration", inventory),
        "kubelet": kubelet_settings(inventory, traits),
        "kube_proxy": kube_proxy_settings(inventory, traits),
        "cert_sans": [
            *(str(inventory.hosts[item].address) for item in (inventory.balancer, *inventory.masters)),
            inventory.balancer,
            *inventory.masters,
            "127.0.0.1",
            *inventory.kubernetes.api_names,
        ],
    }


def init(inventory: Inventory, traits: Traits, pins: Pins, name: str) -> str:
    """The documents with which `name` starts the cluster."""
    values = _values(inventory, traits, pins, name)
    endpoint = {"localAPIEndpoint": {"bindPort": inventory.kubernetes.api_port}}
    own = merged(values["registration"], endpoint)
    document = merged(said("InitConfiguration", inventory, name), own)
    return render("kubeadm/init.yaml", **values | {"document": document})


def join(inventory: Inventory, traits: Traits, pins: Pins, name: str, secrets: JoinSecrets) -> str:
    """The document with which `name` joins the cluster."""
    values = _values(inventory, traits, pins, name)
    own: dict[str, Any] = values["registration"]
    if name in inventory.masters:
        endpoint = {"bindPort": inventory.kubernetes.api_port}
        part = {"certificateKey": secrets.certificate_key, "localAPIEndpoint": endpoint}
        own = merged(own, {"controlPlane": part})
    values |= {
        "token": secrets.token,
        "ca_hashes": [secrets.ca_hash],
        "document": merged(said("JoinConfiguration", inventory, name), own),
    }
    return render("kubeadm/join.yaml", **values)


def timeouts(inventory: Inventory) -> dict[str, dict[str, str]]:
    """kubeadm's own time-outs, as long as the lab is patient; nothing when it is as impatient as kubeadm."""
    if inventory.patience == 1:
        return {}
    return {"timeouts": {name: f"{round(value * inventory.patience)}s" for name, value in TIMEOUTS.items()}}


def patches(inventory: Inventory, name: str) -> dict[str, dict[str, str]]:
    """Where a master's static pods are patched: the role writes the files, for a lab that is patient."""
    if inventory.patience == 1 or name not in inventory.masters:
        return {}
    return {"patches": {"directory": PATCHES}}


def patient_flags(inventory: Inventory) -> dict[str, dict[str, str]]:
    """Flags by component that make the control plane as patient as the lab; none when it is as it is made."""
    if inventory.patience == 1:
        return {component: {} for component in PATIENT_FLAGS}
    return {
        component: {name: f"{round(value * inventory.patience)}s" for name, value in values.items()}
        for component, values in PATIENT_FLAGS.items()
    }


def reset(inventory: Inventory, traits: Traits) -> str:
    """The document with which a host forgets a half-finished init or join."""
    document = said("ResetConfiguration", inventory)
    return render("kubeadm/reset.yaml", document=document, ignored_checks=_ignored(traits))


def upgrade(inventory: Inventory, traits: Traits) -> str:
    """The document with which a node is brought to the inventory's version, the first master or another."""
    ignored = _ignored(traits)
    values = {"inventory": inventory, "ignored_checks": ignored, "timeouts": timeouts(inventory)}
    return render("kubeadm/upgrade.yaml", **values)


def _ignored(traits: Traits) -> list[str]:
    return IGNORED_ALWAYS + (IGNORED_IN_CONTAINERS if traits.shares_kernel else [])
