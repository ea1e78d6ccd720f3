"""What the platform saw of a run of the acceptance suite: its faults, and what they did, on one time axis.

What a run found stands in its report. Here stands what was measured meanwhile, by who knows nothing of it.
"""

from __future__ import annotations

from addons.grafana.dashboards.api import ALL, FAILED
from addons.grafana.dashboards.expressions import growth, or_zero, rate
from addons.grafana.dashboards.model import Dashboard, Limits, Panel, Query, Row

_OWN = 'job="kube-state-metrics",namespace=~"plumbline-.+"'
_BACKEND = 'job="haproxy",proxy="kube-apiservers"'
_QUIET = "no check that needs a namespace of its own is running"

DASHBOARD = Dashboard(
    uid="plumbline-suite",
    title="What the acceptance suite saw",
    about="What happened while `invoke verify` or `invoke fault` was at work?",
    rows=(
        Row(
            "At work",
            (
                Panel(
                    title="Which checks are at work?",
                    note="By the namespaces that they make for themselves.",
                    unit="none",
                    kind="states",
                    may_be_empty=_QUIET,
                    queries=(
                        Query(f"count by (namespace) (kube_namespace_created{{{_OWN}}})", "{{namespace}}"),
                    ),
                ),
                Panel(
                    title="How many pods do they run?",
                    unit="none",
                    kind="stacked",
                    may_be_empty=_QUIET,
                    queries=(
                        Query(f"sum by (namespace) (kube_pod_status_phase{{{_OWN}}})", "{{namespace}}"),
                    ),
                ),
                Panel(
                    title="Which alerts fired?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1),
                    width=24,
                    may_be_empty="nothing was broken",
                    queries=(
                        Query(
                            "max by (alertname, host) "
                            '(ALERTS{alertstate="firing",alertname!~"Watchdog|InfoInhibitor"})',
                            "{{alertname}} {{host}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Machines",
            (
                Panel(
                    title="Which machines answered?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1, falling=True),
                    queries=(Query('min by (host) (up{job="node"})', "{{host}}"),),
                ),
                Panel(
                    title="Which kubelets answered?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1, falling=True),
                    queries=(Query('min by (host) (up{job="kubelet"})', "{{host}}"),),
                ),
                Panel(
                    title="Which nodes were Ready?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1, falling=True),
                    queries=(
                        Query(
                            'max by (node) (kube_node_status_condition{job="kube-state-metrics",'
                            'condition="Ready",status="true"})',
                            "{{node}}",
                        ),
                    ),
                ),
                Panel(
                    title="Whose processes were started anew?",
                    note="A process that dies counts its time from the beginning.",
                    unit="s",
                    queries=(
                        Query(
                            'time() - min by (job, host) (process_start_time_seconds{job="apiserver"})',
                            "{{host}} {{job}}",
                        ),
                        Query(
                            'time() - min by (job, host) (process_start_time_seconds{job="kubelet"})',
                            "{{host}} {{job}}",
                        ),
                        Query(
                            'time() - min by (job, host) (process_start_time_seconds{job="etcd"})',
                            "{{host}} {{job}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Control plane",
            (
                Panel(
                    title="Who led etcd?",
                    unit="none",
                    kind="states",
                    queries=(Query('max by (host) (etcd_server_is_leader{job="etcd"})', "{{host}}"),),
                ),
                Panel(
                    title="Who led the scheduler and the controllers?",
                    unit="none",
                    kind="states",
                    queries=(
                        Query(
                            'max by (host) (leader_election_master_status{job="kube-scheduler"})',
                            "{{host}}: scheduler",
                        ),
                        Query(
                            'max by (host) (leader_election_master_status{job="kube-controller-manager"})',
                            "{{host}}: controllers",
                        ),
                    ),
                ),
                Panel(
                    title="Which API servers did the balancer use?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1, falling=True),
                    queries=(
                        Query(
                            f'max by (server) (haproxy_server_status{{{_BACKEND},state="UP"}})', "{{server}}"
                        ),
                    ),
                ),
                Panel(
                    title="Which share of requests to the API failed?",
                    unit="percentunit",
                    limits=Limits(0.005, 0.05),
                    queries=(Query(f"{or_zero(rate(FAILED))} / {rate(ALL)}", "answered with 5xx"),),
                ),
            ),
        ),
        Row(
            "Workloads and clients",
            (
                Panel(
                    title="Whose containers were started again?",
                    unit="none",
                    queries=(
                        Query(
                            growth(
                                'kube_pod_container_status_restarts_total{job="kube-state-metrics"}',
                                "namespace",
                            ),
                            "{{namespace}}",
                        ),
                    ),
                ),
                Panel(
                    title="What did clients of the ingress get?",
                    unit="reqps",
                    kind="stacked",
                    may_be_empty="no client has asked the ingress since its pods started",
                    queries=(
                        Query(
                            rate(
                                'traefik_entrypoint_requests_total{job="traefik",entrypoint="websecure"}',
                                "code",
                            ),
                            "{{code}}",
                        ),
                    ),
                ),
                Panel(
                    title="Which addresses moved?",
                    note="The node that announces each address of a pool.",
                    unit="none",
                    kind="states",
                    may_be_empty="no service has an address of a pool",
                    queries=(
                        Query(
                            'max by (ip, node) (metallb_speaker_announced{job="metallb"})', "{{ip}} {{node}}"
                        ),
                    ),
                ),
            ),
        ),
    ),
)
