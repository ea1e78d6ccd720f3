"""The first page: whether the platform is well, each answer one number or one short list."""

from __future__ import annotations

from addons.grafana.dashboards.model import Dashboard, Limits, Panel, Query, Row

DASHBOARD = Dashboard(
    uid="plumbline-glance",
    title="Platform at a glance",
    about="Is everything there, does it answer, and what fires?",
    rows=(
        Row(
            "What is there",
            (
                Panel(
                    title="How many nodes are Ready?",
                    unit="none",
                    kind="number",
                    width=6,
                    queries=(
                        Query(
                            'sum(kube_node_status_condition{job="kube-state-metrics",condition="Ready",'
                            'status="true"})',
                            "Ready",
                        ),
                        Query('count(plumbline:host:expected{role!="load-balancer"})', "in the inventory"),
                    ),
                ),
                Panel(
                    title="How many targets are missing?",
                    unit="none",
                    kind="number",
                    width=6,
                    limits=Limits(1, 3),
                    queries=(Query("sum(plumbline:targets:expected) - sum(up)", "missing"),),
                ),
                Panel(
                    title="How good was the API in a day?",
                    note="Share of requests of the last day that did not fail and were not too slow.",
                    unit="percentunit",
                    kind="number",
                    width=6,
                    limits=Limits(0.999, 0.99, falling=True),
                    queries=(Query("max by (verb) (apiserver_request:availability:ratio1d)", "{{verb}}"),),
                ),
                Panel(
                    title="How many alerts fire?",
                    note="One of severity none always fires: Watchdog, which proves that alerts arrive.",
                    unit="none",
                    kind="number",
                    width=6,
                    queries=(Query('count by (severity) (ALERTS{alertstate="firing"})', "{{severity}}"),),
                ),
            ),
        ),
        Row(
            "What is the matter",
            (
                Panel(
                    title="Which alerts fire?",
                    unit="none",
                    kind="table",
                    queries=(
                        Query(
                            'count by (alertname, severity, host, namespace) (ALERTS{alertstate="firing"})'
                        ),
                    ),
                ),
                Panel(
                    title="Which targets do not answer?",
                    unit="none",
                    kind="table",
                    may_be_empty="all targets answer",
                    queries=(Query("count by (job, host, instance) (up == 0)"),),
                ),
            ),
        ),
        Row(
            "What to know",
            (
                Panel(
                    title="Who leads?",
                    unit="none",
                    kind="table",
                    width=8,
                    queries=(
                        Query(
                            'max by (job, host) (etcd_server_is_leader{job="etcd"} == 1'
                            ' or leader_election_master_status{job="kube-scheduler"} == 1'
                            ' or leader_election_master_status{job="kube-controller-manager"} == 1)'
                        ),
                    ),
                ),
                Panel(
                    title="How much of each address pool is used?",
                    unit="percentunit",
                    kind="bars",
                    width=8,
                    limits=Limits(0.8, 0.9),
                    queries=(
                        Query(
                            'max by (pool) (metallb_allocator_addresses_in_use_total{job="metallb"})'
                            ' / max by (pool) (metallb_allocator_addresses_total{job="metallb"})',
                            "{{pool}}",
                        ),
                    ),
                ),
                Panel(
                    title="Which certificate ends first?",
                    unit="s",
                    kind="bars",
                    width=8,
                    limits=Limits(30 * 86400, 7 * 86400, falling=True),
                    queries=(
                        Query(
                            'min(kubelet_certificate_manager_client_ttl_seconds{job="kubelet"})',
                            "kubelets",
                        ),
                        Query('min(traefik_tls_certs_not_after{job="traefik"}) - time()', "ingress"),
                    ),
                ),
            ),
        ),
    ),
)
