"""Defects of the cluster: what a wrong command, a half-finished join or an old certificate leaves behind."""

from __future__ import annotations

import json
from shlex import quote

from lab.cluster.etcd import etcdctl
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.addon_sections import pod_interfaces
from lab.inventory.models import Inventory
from lab.render.bundle import pins
from lab.render.firewall import port_of
from lab.selftest.defect import Breakage, Told, edited, filtered
from lab.selftest.on_cluster import kubectl, made, quoted, rewritten

MASTER = "node-role.kubernetes.io/control-plane"
FOR_PODS = "workers that take pods"
"""Two are all that a small lab has, so that only one may be closed to pods."""
LEARNER = "https://192.0.2.9:2380"
REQUEST = (
    '{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"defect"},'
    '"spec":{"request":"&","signerName":"example.com/defect","usages":["client auth"]}}'
)
CSR = (
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -subj /CN=x"
    f" 2>/dev/null | base64 -w0 | sed {quote(f's|.*|{REQUEST}|')} | {KUBECTL} apply -f -"
)


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_nodes(lab), *_etcd(lab), *_add_ons(lab), *_network(lab)]


def _breakage(name: str, title: str, row: str, host: str, says: str, **fields: object) -> Breakage:
    return Breakage(name=name, title=title, layer="cluster", row=row, host=host, says=says, **fields)  # type: ignore[arg-type]


def _nodes(lab: Inventory) -> list[Breakage]:
    second, third = lab.masters[1:3]
    worker, other = lab.workers[:2]
    stranger = '{"apiVersion":"v1","kind":"Node","metadata":{"name":"stranger"}}'
    return [
        _breakage(
            "taint-missing",
            "a master takes workloads",
            "L2-18",
            "",
            second,
            **kubectl(
                lab,
                f"taint node {second} {MASTER}:NoSchedule-",
                f"taint node {second} {MASTER}:NoSchedule --overwrite",
                f"node/{second}",
            ),
            listed=True,
        ),
        _breakage(
            "taint-extra",
            "a worker takes no workloads",
            "L2-18",
            "",
            f"{worker}.*defect:NoSchedule",
            **kubectl(
                lab,
                f"taint node {worker} defect=:NoSchedule --overwrite",
                f"taint node {worker} defect- 2>/dev/null || true",
                f"node/{worker}",
                FOR_PODS,
            ),
            listed=True,
        ),
        _breakage(
            "node-cordoned",
            "a worker was cordoned and forgotten",
            "L2-18",
            "",
            f"{other}.*unschedulable",
            **kubectl(lab, f"cordon {other}", f"uncordon {other}", f"node/{other}", FOR_PODS),
            listed=True,
        ),
        _breakage(
            "role-label-missing",
            "a master is not labelled as one",
            "L2-01",
            third,
            "label node-role",
            **kubectl(
                lab,
                f"label node {third} {MASTER}-",
                f"label node {third} {MASTER}= --overwrite",
                f"node/{third}",
            ),
        ),
        _breakage(
            "node-left-behind",
            "a node that is not in the inventory",
            "L2-01",
            "",
            "names of the nodes.*stranger",
            alone=True,
            **made(lab, "node", "stranger", stranger),
        ),
        _breakage(
            "pod-cidr-outside",
            "a node of another version, whose pods get addresses outside the pod subnet",
            "L2-09",
            "",
            "stranger: 192.0.2.0/24",
            also=(Told("L2-16", r"kubelets of another version.*stranger: v1\.2\.3"),),
            alone=True,
            **made(lab, "node", "stranger", _foreign_node()),
        ),
    ]


def _foreign_node() -> str:
    """A node with a part of another network and a kubelet of another version, as one registers itself."""
    others = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion")
    told = dict.fromkeys((*others, "kubeProxyVersion", "operatingSystem", "architecture"), "")
    part = {"podCIDR": "192.0.2.0/24", "podCIDRs": ["192.0.2.0/24"]}
    meta, info = {"name": "stranger"}, told | {"kubeletVersion": "v1.2.3"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": part, "status": {"nodeInfo": info}}
    return json.dumps(node)


def _etcd(lab: Inventory) -> list[Breakage]:
    second = lab.masters[1]
    member = f"$({etcdctl('member list')} | sed -n 's|, .*{LEARNER}.*||p')"
    return [
        _breakage(
            "learner-left",
            "a join that died left a learner in etcd",
            "L2-03",
            "",
            "started members.*not started: https://192.0.2.9",
            at=lab.masters[0],
            damage=etcdctl(f"member add defect --learner --peer-urls={LEARNER}"),
            repair=f'id="{member}"; test -z "$id" || {etcdctl("member remove $id")}',
            touches=("members of etcd",),
        ),
        _breakage(
            "etcd-flag",
            "a member of etcd no longer compares its data",
            "L2-05",
            second,
            "flags of etcd",
            # requests that stand at its API server meanwhile hang for a minute, those of other defects too
            alone=True,
            settles=True,
            **edited(
                "etcd-flag", "/etc/kubernetes/manifests/etcd.yaml", "/experimental-initial-corrupt-check/d"
            ),
            reddens=("P2-03", "P2-04"),
        ),
        _breakage(
            "pending-request",
            "nobody has answered a certificate request",
            "L2-15",
            "",
            "defect",
            at=lab.masters[0],
            damage=CSR,
            repair=f"{KUBECTL} delete csr defect --ignore-not-found",
            touches=("csr/defect",),
        ),
    ]


def _add_ons(lab: Inventory) -> list[Breakage]:
    failing = (
        '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"defect"},"spec":{"containers":[{"name":"defect",'
        f'"image":"{pins(lab).images["pause"]}","command":["/nothing"]}}],"nodeName":"{lab.workers[0]}",'
        '"terminationGracePeriodSeconds":0}}'
    )
    return [
        _breakage(
            "proxy-mode",
            "kube-proxy is told to work in another mode",
            "L2-20",
            "",
            "mode of kube-proxy.*ipvs",
            **rewritten(
                lab, "proxy-mode", "configmap/kube-proxy", "kube-system", r"s|^\( *\)mode: .*|\1mode: ipvs|"
            ),
            reddens=("P2-04", "P2-07"),
        ),
        _breakage(
            "kubelet-max-pods",
            "a kubelet runs with settings nobody asked for",
            "P2-02",
            lab.workers[1],
            "maxPods",
            **edited("kubelet-max-pods", "/var/lib/kubelet/config.yaml", "s/^maxPods:.*/maxPods: 7/"),
        ),
        _breakage(
            "api-server-flag",
            "one controller manager is started otherwise than the others",
            "P2-03",
            "",
            f"kube-controller-manager.*profiling.*{lab.masters[2]}",
            at=lab.masters[2],
            settles=True,
            **edited(
                "api-server-flag",
                "/etc/kubernetes/manifests/kube-controller-manager.yaml",
                "s/^    - --bind-address=.*/&\\n    - --profiling=false/",
            ),
            listed=True,
            reddens=("P2-04",),
        ),
        _breakage(
            "crash-loop",
            "a pod of the platform cannot start",
            "L2-08",
            "",
            # its container is called like it; other defects have pods whose names begin so
            "kube-system/defect: defect: ",
            listed=True,
            reddens=("P2-11",),
            **made(lab, "pod", "defect", failing, "kube-system"),
        ),
    ]


def _network(lab: Inventory) -> list[Breakage]:
    pods = ", ".join(map(quoted, pod_interfaces(lab)))
    health = port_of(lab, "kube-proxy's health")
    second, third = lab.masters[1:3]
    return [
        _breakage(
            "api-server-silent",
            "an API server refuses connections",
            "L2-02",
            third,
            f"readyz of {third}",
            **filtered(f'iifname != "lo" tcp dport {lab.kubernetes.api_port} reject with tcp reset'),
            reddens=("L2-17",),
        ),
        _breakage(
            "pods-cut-from-host",
            "a firewall keeps pods from their own host",
            "L2-11",
            second,
            f"pod on {second} does not reach.*{second}",
            **filtered(f"iifname {{ {pods} }} tcp dport {health} reject with tcp reset"),
        ),
    ]
