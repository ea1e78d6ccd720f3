"""What Prometheus scrapes, from the inventory: parts of machines by address, pods by who runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from addons.prometheus.section_model import Observability
from lab.addons import selected
from lab.addons.model import Metrics
from lab.inventory.addon_sections import domain
from lab.inventory.models import Inventory
from lab.inventory.providers import rules_of

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
CLUSTER_CA = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
CLIENT = "/etc/prometheus/client"
"""Folder of the certificate by which exporters on machines know Prometheus, and of the CA of theirs."""
NODE = "node"
"""The job of node exporters."""
NODE_EXPORTER = "node-exporter"
"""The name, below the lab's domain, that certificates of all node exporters have beside their host's."""
SLOWER = 2
"""How many times rarer the largest answers are asked for: those of API servers, and of containers."""
WORDS = {"deployment": "ReplicaSet", "daemonset": "DaemonSet", "statefulset": "StatefulSet", "job": "Job"}
"""Who owns the pods of a workload."""

_NETWORK_PROTOCOLS = "container_network_(tcp|udp)6?_usage_total"
_KERNEL_TASKS = "container_(tasks_state|last_seen|processes|threads_max|ulimits_soft|sockets)"
_BLOCK_DEVICES = (
    "container_(blkio_device_usage_total|fs_(io|sector|(read|write)_seconds|usage|limit|inodes).*)"
)
_EDGES = ("0.6", "0.8", "1.25", "1.5", "3", "4", "6", "8", "15", "20", "45")
"""Edges of the histogram of requests that no rule reads, and of which quantiles need not be so fine."""


@dataclass(frozen=True)
class Job:
    """Targets of one kind that are parts of machines.

    `histograms` are those of which the buckets are kept, where all others are dropped: they are most of the
    series, and nobody reads them. None keeps all. `dropped` are patterns of names besides.
    """

    name: str
    hosts: Literal["all", "masters", "nodes", "balancer"]
    port: int
    path: str = "/metrics"
    by: Literal["http", "token", "token-unverified", "client"] = "http"
    server_name: str = ""
    every: int = 1
    """Of how many looks at others one is at it."""
    histograms: tuple[str, ...] | None = None
    dropped: tuple[str, ...] = ()
    more: tuple[Mapping[str, Any], ...] = ()
    """Further rules about its series."""
    options: Mapping[str, Any] = field(default_factory=dict)


def jobs(inventory: Inventory) -> tuple[Job, ...]:
    """The jobs of machines' parts, in the order of the file."""
    return (
        Job(
            "apiserver",
            "masters",
            inventory.kubernetes.api_port,
            by="token",
            server_name="kubernetes",
            every=SLOWER,
            histograms=(
                "apiserver_request_sli_duration_seconds",
                "apiserver_client_certificate_expiration_seconds",
            ),
            more=(_drop(["__name__", "le"], f"apiserver_request_sli_duration_seconds_bucket;({_edges()})"),),
        ),
        Job(
            "etcd",
            "masters",
            2381,
            histograms=(
                "etcd_disk_wal_fsync_duration_seconds",
                "etcd_disk_backend_commit_duration_seconds",
                "etcd_network_peer_round_trip_time_seconds",
            ),
        ),
        # these two make their certificates anew in memory at each start, so there is nothing to verify
        Job("kube-controller-manager", "masters", 10257, by="token-unverified", histograms=()),
        Job("kube-scheduler", "masters", 10259, by="token-unverified", histograms=()),
        # a kubelet signs its own certificate unless somebody approves a request of its
        Job(
            "kubelet",
            "nodes",
            10250,
            by="token-unverified",
            histograms=(
                "kubelet_pleg_relist_duration_seconds",
                "kubelet_pod_start_sli_duration_seconds",
            ),
        ),
        Job(
            "cadvisor",
            "nodes",
            10250,
            "/metrics/cadvisor",
            by="token-unverified",
            every=SLOWER,
            dropped=(_NETWORK_PROTOCOLS, _KERNEL_TASKS, _BLOCK_DEVICES),
            # units of the system are told by node_exporter; the machine as a whole is id /
            more=(_drop(["__name__", "pod", "id"], "container_[a-z_]+;;/.+"),),
            # its times are those of its own cache, and would come out of order
            options={"honor_timestamps": False},
        ),
        Job("probes", "nodes", 10250, "/metrics/probes", by="token-unverified"),
        Job(
            "kube-proxy",
            "nodes",
            10249,
            histograms=(
                "kubeproxy_network_programming_duration_seconds",
                "kubeproxy_sync_proxy_rules_duration_seconds",
            ),
        ),
        Job(NODE, "all", 9100, by="client", server_name=f"{NODE_EXPORTER}.{domain(inventory)}"),
        Job("haproxy", "balancer", 8404),
    )


def hosts_of(inventory: Inventory, job: Job) -> tuple[str, ...]:
    """The machines that have it."""
    groups = {
        "all": tuple(inventory.hosts),
        "masters": inventory.masters,
        "nodes": inventory.nodes,
        "balancer": (inventory.balancer,),
    }
    return groups[job.hosts]


def shared_kernel(inventory: Inventory) -> frozenset[str]:
    """Machines that report this machine's CPU, memory, load and clock as their own."""
    return frozenset(name for name in inventory.hosts if rules_of(inventory.provided_by(name)).shares_kernel)


def scrape_configs(inventory: Inventory) -> list[dict[str, Any]]:
    """All jobs as Prometheus' file has them: those of machines, then those of add-ons' pods."""
    pause = inventory.section(Observability).prometheus.scrape_seconds
    machines = [_machines(inventory, job, pause) for job in jobs(inventory)]
    return machines + [_pods(item) for addon in selected(inventory) for item in addon.metrics]


def targets(inventory: Inventory) -> dict[str, int]:
    """How many targets each job must have."""
    found = {job.name: len(hosts_of(inventory, job)) for job in jobs(inventory)}
    for item in (item for addon in selected(inventory) for item in addon.metrics):
        pods = sum(_count(inventory, pods.count) for pods in item.pods)
        found[item.job] = pods * len(item.ports)
    return found


def _count(inventory: Inventory, count: int | str) -> int:
    if isinstance(count, int):
        return count
    return len(inventory.nodes) if count == "nodes" else inventory.number(count)


def _machines(inventory: Inventory, job: Job, pause: int) -> dict[str, Any]:
    sharing = shared_kernel(inventory) if job.name == NODE else frozenset()
    targets = [
        {
            "targets": [f"{inventory.addresses[name]}:{job.port}"],
            "labels": {
                "host": name,
                "role": inventory.hosts[name].role.value,
                "arch": inventory.hosts[name].arch.value,
                # rules on what a machine shares with others leave it out
                **({"shared_kernel": "true"} if name in sharing else {}),
            },
        }
        for name in hosts_of(inventory, job)
    ]
    seldom = {"scrape_interval": f"{pause * job.every}s"} if job.every > 1 else {}
    relabels = _series(job)
    return {
        "job_name": job.name,
        **seldom,
        **({"metrics_path": job.path} if job.path != "/metrics" else {}),
        **_access(job),
        **job.options,
        "static_configs": targets,
        **({"metric_relabel_configs": relabels} if relabels else {}),
    }


def _access(job: Job) -> dict[str, Any]:
    if job.by == "http":
        return {}
    if job.by == "client":
        files = {"ca_file": "ca.crt", "cert_file": "tls.crt", "key_file": "tls.key"}
        tls: dict[str, Any] = {key: f"{CLIENT}/{name}" for key, name in files.items()}
        return {"scheme": "https", "tls_config": {**tls, "server_name": job.server_name}}
    tls = {"insecure_skip_verify": True}
    if job.by == "token":
        tls = {"ca_file": CLUSTER_CA, "server_name": job.server_name}
    return {"scheme": "https", "authorization": {"credentials_file": TOKEN}, "tls_config": tls}


def _series(job: Job) -> list[Mapping[str, Any]]:
    """What of a job's answers is not kept."""
    rules: list[Mapping[str, Any]] = [_drop(["__name__"], name) for name in job.dropped]
    if job.histograms is not None:
        # there is no pattern for "all but these": buckets are marked, the wanted ones unmarked again
        rules.append(_mark(".+_bucket", "unread"))
        if job.histograms:
            rules.append(_mark(f"({'|'.join(job.histograms)})_bucket", ""))
        rules.append(_drop(["__tmp_bucket"], "unread"))
    return [*rules, *job.more]


def _pods(item: Metrics) -> dict[str, Any]:
    owners = "|".join(_owner(pods.of) for pods in item.pods)
    namespaces = sorted({pods.of.split("/")[1] for pods in item.pods})
    relabels: list[Mapping[str, Any]] = [
        {
            "source_labels": [
                "__meta_kubernetes_namespace",
                "__meta_kubernetes_pod_controller_kind",
                "__meta_kubernetes_pod_controller_name",
            ],
            "separator": "/",
            "regex": owners,
            "action": "keep",
        },
        _drop(["__meta_kubernetes_pod_phase"], "Failed|Succeeded"),
        # of the ports of all its containers these alone
        {
            "source_labels": ["__meta_kubernetes_pod_container_port_number"],
            "regex": "|".join(map(str, item.ports)),
            "action": "keep",
        },
        {
            "source_labels": ["__meta_kubernetes_pod_ip", "__meta_kubernetes_pod_container_port_number"],
            "separator": ":",
            "target_label": "__address__",
        },
    ]
    if not item.own_labels:
        labels = {"namespace": "namespace", "pod_name": "pod", "pod_node_name": "host"}
        relabels += [_label(f"__meta_kubernetes_{source}", target) for source, target in labels.items()]
    return {
        "job_name": item.job,
        **({"metrics_path": item.path} if item.path != "/metrics" else {}),
        **({"honor_labels": True} if item.own_labels else {}),
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": namespaces}}],
        "relabel_configs": relabels,
    }


def _owner(workload: str) -> str:
    """The owner of a workload's pods, as a pattern: a Deployment's are those of its ReplicaSets."""
    kind, namespace, name = workload.split("/")
    suffix = "-[a-z0-9]+" if kind == "deployment" else ""
    return f"{namespace}/{WORDS[kind]}/{name.replace('.', '[.]')}{suffix}"


def _edges() -> str:
    """Numbers as patterns: Prometheus 3 writes whole ones with `.0`."""
    return "|".join(edge.replace(".", "[.]") if "." in edge else f"{edge}([.]0)?" for edge in _EDGES)


def _drop(labels: list[str], pattern: str) -> Mapping[str, Any]:
    return {"source_labels": labels, "regex": pattern, "action": "drop"}


def _mark(pattern: str, value: str) -> Mapping[str, Any]:
    return {
        "source_labels": ["__name__"],
        "regex": pattern,
        "target_label": "__tmp_bucket",
        "replacement": value,
    }


def _label(source: str, target: str) -> Mapping[str, Any]:
    return {"source_labels": [source], "target_label": target}
