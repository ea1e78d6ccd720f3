"""Defects of what runs: a process has read another text, and what is written has been right again since."""

from __future__ import annotations

from functools import partial
from shlex import quote
from typing import Any

from lab.checks.balancer import SOCKET
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.render.components import KUBELET_CONFIG
from lab.render.firewall import port_of
from lab.selftest.defect import KEPT, Breakage, breakage, edited
from lab.selftest.on_cluster import rewritten

SCHEDULER = "/etc/kubernetes/manifests/kube-scheduler.yaml"
HAPROXY = "/etc/haproxy/haproxy.cfg"
RELOADED = f"echo show info | socat stdio {SOCKET} | grep -q '^Uptime_sec: [0-2]$'"
_node = partial(breakage, layer="node", listed=True)
_cluster = partial(breakage, layer="cluster", listed=True, settles=True)


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    worker, other = lab.workers[:2]
    listens = f"ss -Hlnt sport = :{port_of(lab, 'the kubelet')} | grep -q ."
    reload, restart = "systemctl reload haproxy", "systemctl restart"
    registries = 's|config_path = .*|config_path = "/etc/containerd/defect"|'
    return [
        _node(
            name="haproxy-runs-another",
            title="HAProxy was reloaded with slower checks, and its file was put back",
            row="P1-21",
            host=lab.balancer,
            says="server kube-apiservers/.*fall 9, declared: ",
            **outrun("haproxy-runs-another", HAPROXY, "s/ fall [0-9]* / fall 9 /", reload, RELOADED),
        ),
        _node(
            name="haproxy-impatient",
            title="HAProxy was reloaded with a time-out that cuts watches, and its file was put back",
            row="P1-21",
            host=lab.balancer,
            says="timeout tunnel.*are left of it",
            **outrun("haproxy-impatient", HAPROXY, "/timeout tunnel/s/[0-9]*s$/600s/", reload, RELOADED),
        ),
        _node(
            name="containerd-runs-another",
            title="containerd was started with another folder of registries, and its file was put back",
            row="P1-20",
            host=other,
            says="registry.config_path: /etc/containerd/defect, not ",
            reddens=("L1-14",),
            settles=True,
            **outrun(
                "containerd-runs-another",
                "/etc/containerd/config.toml",
                registries,
                f"{restart} containerd",
                "true",
            ),
        ),
        _cluster(
            name="kubelet-runs-another",
            title="a kubelet was started with another number of pods, and its file was put back",
            row="P2-41",
            host=worker,
            says="maxPods: 40, not ",
            **outrun(
                "kubelet-runs-another",
                KUBELET_CONFIG,
                "s/^maxPods:.*/maxPods: 40/",
                f"{restart} kubelet",
                listens,
            ),
        ),
        _cluster(
            name="kube-proxy-runs-another",
            title="a kube-proxy has read another network of pods than its ConfigMap says now",
            row="P2-42",
            host=other,
            says=f"detectLocal.clusterCIDRs: {lab.kubernetes.pod_subnet.supernet()}, not ",
            # the kubelet gives it the right one before long
            alone=True,
            **_kube_proxy(lab, other),
        ),
        _cluster(
            name="pods-of-an-older-template",
            title="kube-proxy's pods are replaced by nobody, and its template has changed",
            row="P2-43",
            host="",
            says="kube-system/kube-proxy-.*NODE_NAME.*the template of its DaemonSet says .*defect",
            reddens=("P2-07",),
            **rewritten(
                lab,
                "pods-of-an-older-template",
                "daemonset/kube-proxy",
                "kube-system",
                "s/type: RollingUpdate/type: OnDelete/; s/--hostname-override=.*/--hostname-override=defect/",
            ),
        ),
        # alike on all masters, so that they agree with each other
        *(
            _cluster(
                name=f"scheduler-edited-{number}",
                title="the schedulers of all masters were edited alike",
                row="P2-40",
                host=master,
                says=r"kube-scheduler.yaml --kube-api-qps: 49 \(kubeadm: not given\)",
                reddens=("P2-03", "P2-04"),
                **edited(
                    f"scheduler-edited-{number}",
                    SCHEDULER,
                    "s/^    - --bind-address=.*/&\\n    - --kube-api-qps=49/",
                ),
            )
            for number, master in enumerate(lab.masters, 1)
        ),
    ]


def outrun(name: str, path: str, program: str, start: str, ready: str) -> dict[str, Any]:
    """Damage and repair of a process that has read what a sed program makes of its file.

    The file is as it was, its time too; `start` makes the process read it, `ready` tells that it has.
    """
    kept, file = f"{KEPT}/{name}", quote(path)
    awaited = f"for i in $(seq 150); do {{ {ready}; }} && break; sleep 0.2; done"
    return {
        "damage": f"mkdir -p {KEPT} && cat {file} > {kept}.part && touch -r {file} {kept}.part"
        f" && mv {kept}.part {kept} && sed {quote(program)} {kept} > {file} && {start}; {awaited};"
        f" cat {kept} > {file} && touch -r {kept} {file}",
        "repair": f"test ! -e {kept} || {{ cat {kept} > {file} && touch -r {kept} {file} && {start}"
        f" && rm {kept}; }}",
        "touches": (f"file {path}",),
    }


def _kube_proxy(lab: Inventory, node: str) -> dict[str, Any]:
    """Damage and repair of a node's kube-proxy: its pod begins while the ConfigMap says something else."""
    kept, item = f"{KEPT}/kube-proxy-runs-another", "-n kube-system get configmap kube-proxy -o yaml"
    subnet = lab.kubernetes.pod_subnet
    wider = quote(f"s|clusterCIDR: {subnet}|clusterCIDR: {subnet.supernet()}|")
    again = (
        f"{KUBECTL} -n kube-system delete pod -l k8s-app=kube-proxy --field-selector spec.nodeName={node}"
        f" && {KUBECTL} -n kube-system rollout status daemonset kube-proxy --timeout=90s"
    )
    put_back = f"{KUBECTL} replace -f {kept} >/dev/null"
    return {
        "at": lab.masters[0],
        "damage": f"mkdir -p {KEPT} && {KUBECTL} {item} | sed '/^  resourceVersion:/d; /^  uid:/d'"
        f" > {kept}.part && mv {kept}.part {kept} && sed {wider} {kept} | {KUBECTL} replace -f - >/dev/null"
        f" && {again} && {put_back}",
        "repair": f"test ! -e {kept} || {{ {put_back} && {again} && rm {kept}; }}",
        "touches": ("configmap/kube-proxy",),
    }
