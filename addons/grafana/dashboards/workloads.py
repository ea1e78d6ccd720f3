"""What runs on the cluster: what it asked for, what it uses, and what does not run as it should."""

from __future__ import annotations

from addons.grafana.dashboards.expressions import growth, quantile, rate
from addons.grafana.dashboards.model import Dashboard, Limits, Panel, Query, Row, Variable

_OF = 'job="kube-state-metrics",namespace=~"$namespace"'
_USED = 'job="cadvisor",container!="",namespace=~"$namespace"'
NAMESPACE = Variable(
    "namespace", "namespace", "namespace", 'kube_namespace_created{job="kube-state-metrics"}'
)


def _resource(title: str, unit: str, resource: str, used: str) -> Panel:
    return Panel(
        title=title,
        note="Pods are placed by what they ask for: beyond what the nodes have to give, none is placed.",
        unit="none" if unit == "none" else "bytes",
        queries=(
            Query(f'sum(kube_pod_container_resource_requests{{{_OF},resource="{resource}"}})', "asked for"),
            Query(used, "used"),
            Query(
                f'sum(kube_node_status_allocatable{{job="kube-state-metrics",resource="{resource}"}})',
                "there is",
            ),
        ),
    )


DASHBOARD = Dashboard(
    uid="plumbline-workloads",
    title="Workloads",
    about="What do pods ask for and use, and which do not run as they should?",
    variables=(NAMESPACE,),
    rows=(
        Row(
            "Resources",
            (
                _resource(
                    "How many cores are asked for, used and there?",
                    "none",
                    "cpu",
                    rate(f"container_cpu_usage_seconds_total{{{_USED}}}"),
                ),
                _resource(
                    "How much memory is asked for, used and there?",
                    "bytes",
                    "memory",
                    f"sum(container_memory_working_set_bytes{{{_USED}}})",
                ),
                Panel(
                    title="Who uses how many cores?",
                    unit="none",
                    kind="stacked",
                    queries=(
                        Query(
                            rate(f"container_cpu_usage_seconds_total{{{_USED}}}", "namespace"),
                            "{{namespace}}",
                        ),
                    ),
                ),
                Panel(
                    title="Who uses how much memory?",
                    unit="bytes",
                    kind="stacked",
                    queries=(
                        Query(
                            f"sum by (namespace) (container_memory_working_set_bytes{{{_USED}}})",
                            "{{namespace}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Health",
            (
                Panel(
                    title="In which phase are pods?",
                    unit="none",
                    kind="stacked",
                    queries=(Query(f"sum by (phase) (kube_pod_status_phase{{{_OF}}})", "{{phase}}"),),
                ),
                Panel(
                    title="Why do containers wait?",
                    unit="none",
                    may_be_empty="no container waits",
                    queries=(
                        Query(
                            "sum by (namespace, pod, reason) "
                            f"(kube_pod_container_status_waiting_reason{{{_OF}}})",
                            "{{namespace}}/{{pod}}: {{reason}}",
                        ),
                    ),
                ),
                Panel(
                    title="Whose containers start again?",
                    unit="none",
                    limits=Limits(1, 5),
                    queries=(
                        Query(
                            growth(f"kube_pod_container_status_restarts_total{{{_OF}}}", "namespace"),
                            "{{namespace}}",
                        ),
                    ),
                ),
                Panel(
                    title="Whose containers were killed for want of memory?",
                    unit="none",
                    limits=Limits(1, 5),
                    queries=(
                        Query(growth(f"container_oom_events_total{{{_USED}}}", "namespace"), "{{namespace}}"),
                    ),
                ),
                Panel(
                    title="How many replicas are missing?",
                    unit="none",
                    limits=Limits(1, 3),
                    queries=(
                        Query(
                            f"sum by (namespace) (kube_deployment_spec_replicas{{{_OF}}}"
                            f" - kube_deployment_status_replicas_available{{{_OF}}})",
                            "{{namespace}}: Deployments",
                        ),
                        Query(
                            f"sum by (namespace) (kube_daemonset_status_desired_number_scheduled{{{_OF}}}"
                            f" - kube_daemonset_status_number_ready{{{_OF}}})",
                            "{{namespace}}: DaemonSets",
                        ),
                        Query(
                            f"sum by (namespace) (kube_statefulset_replicas{{{_OF}}}"
                            f" - kube_statefulset_status_replicas_ready{{{_OF}}})",
                            "{{namespace}}: StatefulSets",
                        ),
                    ),
                ),
                Panel(
                    title="How many pods does each node run?",
                    unit="none",
                    queries=(Query('max by (host) (kubelet_running_pods{job="kubelet"})', "{{host}}"),),
                ),
            ),
        ),
        Row(
            "Start",
            (
                Panel(
                    title="How long does a pod take to start?",
                    note="99 of 100 pods take no longer, without the time in which their images are fetched.",
                    unit="s",
                    limits=Limits(20, 60),
                    queries=(
                        Query(
                            quantile(0.99, 'kubelet_pod_start_sli_duration_seconds_bucket{job="kubelet"}'),
                            "99 %",
                        ),
                    ),
                ),
                Panel(
                    title="How many pods wait for a node?",
                    unit="none",
                    queries=(
                        Query('sum by (queue) (scheduler_pending_pods{job="kube-scheduler"})', "{{queue}}"),
                    ),
                ),
                Panel(
                    title="How often is a pod placed, and how often not?",
                    unit="ops",
                    queries=(
                        Query(
                            rate('scheduler_schedule_attempts_total{job="kube-scheduler"}', "result"),
                            "{{result}}",
                        ),
                    ),
                ),
                Panel(
                    title="How much work waits for the controllers?",
                    unit="none",
                    queries=(
                        Query(
                            'topk(10, max by (name) (workqueue_depth{job="kube-controller-manager"}))',
                            "{{name}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
