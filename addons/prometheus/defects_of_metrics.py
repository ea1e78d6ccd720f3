"""Seeded defects of what Prometheus sees and judges: targets, rules, its configuration, its memory."""

from __future__ import annotations

from addons.prometheus.defects_read_anew import (
    ALERTS,
    CONFIG,
    OWN,
    PROMETHEUS,
    RULES,
    SPACE,
    TARGETS,
    moved_data,
    of_haproxy,
    reread,
    seen,
)
from addons.prometheus.section_config import NAMESPACE
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.selftest.defect import Defect, breakage
from lab.selftest.on_cluster import PODS_NETWORK, kubectl, rewritten


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    return [*_of_targets(lab), *_of_rules(lab), *_of_memory(lab)]


def _of_targets(lab: Inventory) -> list[Defect]:
    balancer, worker = lab.balancer, lab.workers[0]
    address = lab.addresses[balancer]
    scale = f"{SPACE} scale deployment kube-state-metrics --replicas"
    there = f"{KUBECTL} {SPACE} rollout status deployment kube-state-metrics --timeout=50s >/dev/null"
    gone = '"scrapePool":"kube-state-metrics"'
    stopped = kubectl(lab, f"{scale}=0", f"{scale}=1", "deployment/kube-state-metrics")
    return [
        breakage(
            layer="services",
            name="target-missing",
            title="Prometheus does not know the balancer's node_exporter",
            row="L3-27",
            says=f"node: {balancer} .*:9100: is no target",
            reddens=("P2-07", "P3-51", "P3-53"),
            **reread(
                lab,
                "target-missing",
                PROMETHEUS,
                f"s|{address}:9100|{address}:9111|",
                TARGETS,
                f"{address}:9111",
            ),
        ),
        breakage(
            layer="services",
            name="target-mislabelled",
            title="a worker's figures are told under another name",
            row="L3-27",
            says=f"{worker} .*: label host is {worker}-of-old, not {worker}",
            reddens=("P2-07", "P3-51", "P3-53"),
            **reread(
                lab,
                "target-mislabelled",
                PROMETHEUS,
                f"s/host: {worker}$/host: {worker}-of-old/",
                TARGETS,
                f'"host":"{worker}-of-old"',
            ),
        ),
        breakage(
            layer="services",
            name="target-of-a-stranger",
            title="Prometheus scrapes a job that nobody declared",
            row="L3-27",
            says="haproxy-of-old: a job that is none of the inventory's",
            reddens=("P2-07", "P3-51", "P3-53"),
            **reread(
                lab,
                "target-of-a-stranger",
                PROMETHEUS,
                "s/job_name: haproxy$/job_name: haproxy-of-old/",
                TARGETS,
                '"scrapePool":"haproxy-of-old"',
            ),
        ),
        breakage(
            layer="services",
            name="scrape-refused",
            title="Prometheus has lost the right to read metrics of the control plane",
            row="L3-27",
            says=f"kube-scheduler: {lab.masters[0]} .*down: .*403",
            reddens=("P2-07", "P3-50", "P3-53"),
            alone=True,
            needs=(PODS_NETWORK,),
            **seen(
                rewritten(
                    lab,
                    "scrape-refused",
                    "clusterrole/prometheus",
                    NAMESPACE,
                    "s|^  - /metrics$|  - /nothing|",
                ),
                TARGETS,
                "403 Forbidden",
            ),
        ),
        breakage(
            layer="services",
            name="state-not-told",
            title="kube-state-metrics was scaled to nothing",
            row="L3-27",
            says="kube-state-metrics: 0 of 2 targets",
            reddens=("P2-07", "P3-53", "P3-59"),
            alone=True,
            **seen(stopped, TARGETS, gone, gone=True) | {"repair": f"{stopped['repair']} && {there}"},
        ),
        breakage(
            layer="services",
            name="target-slow",
            title="Prometheus asks the balancer so often that it answers hardly once",
            row="P3-50",
            says="haproxy: .* of 0.02 s",
            reddens=("P2-07", "L3-27", "P3-51"),
            alone=True,
            **reread(
                lab,
                "target-slow",
                PROMETHEUS,
                of_haproxy("scrape_interval: 20ms"),
                TARGETS,
                '"scrapeInterval":"20ms"',
            ),
        ),
    ]


def _of_rules(lab: Inventory) -> list[Defect]:
    return [
        breakage(
            layer="services",
            name="rule-never-fires",
            title="the alert of kubelets that are down was edited and can never fire",
            row="L3-32",
            says="nodes: KubeletDown .*: asks up.job=.kubelet.. == 2, not",
            reddens=("P2-07",),
            **reread(
                lab,
                "rule-never-fires",
                ALERTS,
                r"/alert: KubeletDown/,/for:/s/== 0/== 2/",
                RULES,
                r'kubelet\\"} == 2',
            ),
        ),
        breakage(
            layer="services",
            name="rule-fails",
            title="a recording rule gives the same series twice",
            row="L3-32",
            says="expected: plumbline:host:expected: err: ",
            reddens=("P2-07",),
            alone=True,
            **reread(
                lab,
                "rule-fails",
                ALERTS,
                "0,/expr: vector(1)/s//expr: '{__name__=~\"up|scrape_duration_seconds\"}'/",
                RULES,
                '"health":"err"',
            ),
        ),
        breakage(
            layer="services",
            name="rule-file-refused",
            title="a file of rules is no longer one, so Prometheus goes on with what it had",
            row="P3-51",
            says="configuration or a rule file was refused",
            reddens=("P2-07",),
            **reread(
                lab,
                "rule-file-refused",
                ALERTS,
                "s/alert: KubeletDown/alarm: KubeletDown/",
                OWN,
                "^prometheus_config_last_reload_successful 0",
            ),
        ),
        breakage(
            layer="services",
            name="configuration-edited",
            title="somebody has Prometheus judge its rules every five minutes",
            row="P3-51",
            says="global.evaluation_interval: 5m is loaded, 15s is rendered",
            reddens=("P2-07",),
            alone=True,
            **reread(
                lab,
                "configuration-edited",
                PROMETHEUS,
                "s/evaluation_interval: 15s/evaluation_interval: 5m/",
                CONFIG,
                "evaluation_interval: 5m",
            ),
        ),
        breakage(
            layer="services",
            name="rule-cries-wolf",
            title="the alert of kubelets that are down fires for those that are up",
            row="P3-52",
            says=f"alertname=KubeletDown .*host={lab.workers[0]}",
            reddens=("P2-07", "L3-32"),
            alone=True,
            **reread(
                lab,
                "rule-cries-wolf",
                ALERTS,
                "/alert: KubeletDown/,/for:/{s/== 0/== 1/;s/for: 10m/for: 1s/}",
                RULES,
                r'"alertname":"KubeletDown",[^}]*},[^}]*},"state":"firing"',
            ),
        ),
        breakage(
            layer="services",
            name="metric-renamed",
            title="the state of the balancer's servers is told under another name",
            row="P3-53",
            says="haproxy_server_status.*no series",
            reddens=("P2-07",),
            alone=True,
            **reread(
                lab,
                "metric-renamed",
                PROMETHEUS,
                of_haproxy(
                    "scrape_interval: 5s",
                    "metric_relabel_configs:",
                    "- {source_labels: [__name__], regex: haproxy_server_status, target_label: __name__,"
                    " replacement: haproxy_server_state}",
                ),
                "api/v1/query?query=haproxy_server_state",
                '"value"',
            ),
        ),
    ]


def _of_memory(lab: Inventory) -> list[Defect]:
    return [
        breakage(
            layer="services",
            name="samples-thrown-away",
            title="labels that tell the balancer's servers apart are dropped",
            row="P3-54",
            says="prometheus_target_scrapes_sample_duplicate_timestamp_total: ",
            reddens=("P2-07", "P3-51", "P3-53"),
            alone=True,
            **reread(
                lab,
                "samples-thrown-away",
                PROMETHEUS,
                of_haproxy(
                    "scrape_interval: 5s",
                    "metric_relabel_configs:",
                    '- {regex: "proxy|server|state", action: labeldrop}',
                ),
                OWN,
                "^prometheus_target_scrapes_sample_duplicate_timestamp_total [1-9]",
            ),
        ),
        breakage(
            layer="services",
            name="history-in-memory",
            title="Prometheus keeps its data in its pod",
            row="P3-55",
            says="seconds without a sample of machines.*inf",
            reddens=("P2-07", "P3-53"),
            alone=True,
            test="test_it_loses_its_downtime_alone_when_killed",
            **moved_data(
                lab,
                {"hostPath": None, "emptyDir": {}},
                {
                    "emptyDir": None,
                    "hostPath": {"path": "/var/lib/plumbline/prometheus", "type": "DirectoryOrCreate"},
                },
            ),
        ),
    ]
