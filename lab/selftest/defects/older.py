"""Defects of time: what is written is right, and what runs has read something older."""

from __future__ import annotations

from functools import partial
from shlex import quote
from typing import Any

from lab.hosts.remote_look import SANDBOXES, TASKS
from lab.inventory.addon_sections import pod_interfaces
from lab.inventory.models import Inventory
from lab.render.components import KUBELET_CONFIG
from lab.render.detected import CLUSTER_DNS
from lab.selftest.defect import KEPT, Breakage, breakage

_unit = partial(breakage, layer="node", row="P1-05", listed=True)
_component = partial(breakage, layer="cluster", row="L2-17", listed=True)


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    return [
        _unit(
            name="haproxy-older",
            title="HAProxy runs with what its file said before",
            host=lab.balancer,
            says="reload haproxy: /etc/haproxy/haproxy.cfg is of",
            **touched("haproxy-older", "/etc/haproxy/haproxy.cfg"),
        ),
        _unit(
            name="kubelet-older",
            title="a kubelet runs with what its settings were before",
            host=worker,
            says=f"restart kubelet: {KUBELET_CONFIG} is of",
            **touched("kubelet-older", KUBELET_CONFIG),
        ),
        _unit(
            name="containerd-older",
            title="a container runtime runs with what its file said before",
            host=other,
            says="restart containerd: /etc/containerd/config.toml is of",
            **touched("containerd-older", "/etc/containerd/config.toml"),
        ),
        _unit(
            name="unit-file-unread",
            title="systemd has not read a unit's new file",
            host=third,
            says="daemon-reload.*kubelet",
            **touched("unit-file-unread", "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"),
        ),
        _component(
            name="scheduler-older",
            title="certificates were renewed, and a scheduler has the old one",
            host=second,
            says="restart kube-scheduler: .*/etc/kubernetes/scheduler.conf is of",
            **touched("scheduler-older", "/etc/kubernetes/scheduler.conf"),
        ),
        _component(
            name="controllers-older",
            title="certificates were renewed, and a controller manager has the old one",
            host=first,
            says="restart kube-controller-manager: .*/etc/kubernetes/controller-manager.conf is of",
            **touched("controllers-older", "/etc/kubernetes/controller-manager.conf"),
        ),
        breakage(
            name="bridge-of-another-part",
            title="a node came back with another part of the pods' network, and its bridge did not",
            layer="cluster",
            row="P2-21",
            host=other,
            says=f"{pod_interfaces(lab)[0]} has 192.0.2.1/24",
            listed=True,
            damage=f"ip address add 192.0.2.1/24 dev {pod_interfaces(lab)[0]}",
            repair=f"ip address delete 192.0.2.1/24 dev {pod_interfaces(lab)[0]} 2>/dev/null || true",
            touches=(f"addresses of {pod_interfaces(lab)[0]}",),
        ),
        breakage(
            name="pod-resolver-older",
            title="a pod asks the name server that its node had when the pod began",
            layer="cluster",
            row="P2-22",
            host=worker,
            says="it asks 192.0.2.53",
            listed=True,
            **_copied(lab),
        ),
    ]


def touched(name: str, path: str) -> dict[str, Any]:
    """Damage and repair of a file's time alone."""
    kept, file = f"{KEPT}/{name}", quote(path)
    return {
        "damage": f"mkdir -p {KEPT} && touch -r {file} {kept} && touch {file}",
        "repair": f"test ! -e {kept} || {{ touch -r {kept} {file} && rm {kept}; }}",
        "touches": (f"file {path}",),
    }


def _copied(lab: Inventory) -> dict[str, Any]:
    """Damage and repair of what one pod with its node's DNS was given."""
    kept, server = f"{KEPT}/pod-resolver", lab.kubernetes.service_subnet[CLUSTER_DNS]
    newest = f"ls -t $(grep -L {server} {SANDBOXES}/*/resolv.conf)"
    return {
        # of a pod that runs, the newest: what is left of one that ended, or of its dead sandbox, is nobody's
        "damage": f"mkdir -p {KEPT} && f=$(for f in $({newest}); do"
        f" test ! -e {TASKS}/$(basename $(dirname $f)) || echo $f; done | head -n 1)"
        f" && cp $f {kept} && echo $f > {kept}.path"
        f" && sed 's/^nameserver .*/nameserver 192.0.2.53/' {kept} > $f",
        # a pod that is gone took its copy along
        "repair": f"test ! -e {kept}.path || {{ f=$(cat {kept}.path); test ! -e $f || cat {kept} > $f;"
        f" rm {kept}.path {kept}; }}",
        "touches": ("a pod's copy of the resolver",),
    }
