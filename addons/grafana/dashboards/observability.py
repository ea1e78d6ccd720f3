"""Metrics, alerts and logs themselves: whether what is measured arrives, and what it costs."""

from __future__ import annotations

from addons.grafana.dashboards.expressions import growth, quantile, rate
from addons.grafana.dashboards.model import Dashboard, Limits, Panel, Query, Row

_SENT = 'alertmanager_notifications_total{job="alertmanager"}'
_LATENCY = 'alertmanager_notification_latency_seconds_bucket{job="alertmanager"}'
_QUERIES = 'prometheus_engine_query_duration_seconds{job="prometheus",quantile="0.99",slice="inner_eval"}'
_MEMORY = (
    "prometheus",
    "alertmanager",
    "kube-state-metrics",
    "node",
    "victorialogs",
    "vlagent",
    "loki",
    "alloy",
    "grafana",
)

DASHBOARD = Dashboard(
    uid="plumbline-observability",
    title="Observability itself",
    about="Is everything measured, do alerts and logs arrive, and what does that cost?",
    rows=(
        Row(
            "Metrics",
            (
                Panel(
                    title="Which share of each job's targets answers?",
                    unit="percentunit",
                    limits=Limits(1, 0.9, falling=True),
                    queries=(Query("avg by (job) (up)", "{{job}}"),),
                ),
                Panel(
                    title="How long does the slowest target of each job take?",
                    unit="s",
                    limits=Limits(5, 10),
                    queries=(Query("max by (job) (scrape_duration_seconds)", "{{job}}"),),
                ),
                Panel(
                    title="How many samples does each job bring?",
                    unit="short",
                    kind="stacked",
                    queries=(Query("sum by (job) (scrape_samples_scraped)", "{{job}}"),),
                ),
                Panel(
                    title="How many series are there?",
                    unit="short",
                    queries=(
                        Query('sum(prometheus_tsdb_head_series{job="prometheus"})', "series in memory"),
                    ),
                ),
                Panel(
                    title="How many samples are written?",
                    unit="cps",
                    queries=(
                        Query(
                            rate('prometheus_tsdb_head_samples_appended_total{job="prometheus"}'), "samples"
                        ),
                    ),
                ),
                Panel(
                    title="Which samples are refused?",
                    unit="cps",
                    limits=Limits(0.1, 10),
                    queries=(
                        Query(
                            rate(
                                'prometheus_target_scrapes_sample_duplicate_timestamp_total{job="prometheus"}'
                            ),
                            "duplicate",
                        ),
                        Query(
                            rate('prometheus_target_scrapes_sample_out_of_order_total{job="prometheus"}'),
                            "out of order",
                        ),
                        Query(
                            rate('prometheus_target_scrapes_exceeded_sample_limit_total{job="prometheus"}'),
                            "target with too many",
                        ),
                    ),
                ),
                Panel(
                    title="How much of their interval do rules take?",
                    unit="percentunit",
                    limits=Limits(0.5, 1),
                    queries=(
                        Query(
                            "max by (rule_group) "
                            '(prometheus_rule_group_last_duration_seconds{job="prometheus"}'
                            ' / prometheus_rule_group_interval_seconds{job="prometheus"})',
                            "{{rule_group}}",
                        ),
                    ),
                ),
                Panel(
                    title="Which rules fail?",
                    unit="none",
                    limits=Limits(1, 5),
                    queries=(
                        Query(
                            growth(
                                'prometheus_rule_evaluation_failures_total{job="prometheus"}', "rule_group"
                            ),
                            "{{rule_group}}",
                        ),
                    ),
                ),
                Panel(
                    title="How long does a query take?",
                    note="99 of 100 queries are evaluated within this time.",
                    unit="s",
                    limits=Limits(1, 10),
                    queries=(Query(f"max({_QUERIES})", "99 %"),),
                ),
            ),
        ),
        Row(
            "Alerts",
            (
                Panel(
                    title="How many alerts does Prometheus send, and how many get lost?",
                    unit="cps",
                    queries=(
                        Query(rate('prometheus_notifications_sent_total{job="prometheus"}'), "sent"),
                        Query(
                            rate('prometheus_notifications_errors_total{job="prometheus"}'), "failed to send"
                        ),
                        Query(rate('prometheus_notifications_dropped_total{job="prometheus"}'), "dropped"),
                    ),
                ),
                Panel(
                    title="How many Alertmanagers see each other?",
                    unit="none",
                    queries=(
                        Query(
                            'min(alertmanager_cluster_members{job="alertmanager"})',
                            "members seen by the loneliest",
                        ),
                        Query(
                            'sum(plumbline:targets:expected{job="alertmanager"})', "members there should be"
                        ),
                    ),
                ),
                Panel(
                    title="How many messages go out, and how many fail?",
                    unit="cps",
                    queries=(
                        Query(rate(_SENT, "integration"), "{{integration}}: sent"),
                        Query(
                            rate(
                                'alertmanager_notifications_failed_total{job="alertmanager"}', "integration"
                            ),
                            "{{integration}}: failed",
                        ),
                    ),
                ),
                Panel(
                    title="How long does a message take?",
                    note="99 of 100 messages are taken by their receiver within this time.",
                    unit="s",
                    limits=Limits(5, 10),
                    queries=(Query(quantile(0.99, _LATENCY, "integration"), "{{integration}}"),),
                ),
                Panel(
                    title="Do they run with their newest configuration?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1, falling=True),
                    queries=(
                        Query(
                            'min(prometheus_config_last_reload_successful{job="prometheus"})', "Prometheus"
                        ),
                        Query(
                            'min(alertmanager_config_last_reload_successful{job="alertmanager"})',
                            "Alertmanager",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Logs",
            (
                Panel(
                    title="How many lines come in?",
                    unit="cps",
                    kind="stacked",
                    queries=(
                        Query(rate('vl_rows_ingested_total{job="victorialogs"}', "type"), "{{type}}"),
                        Query(rate('loki_distributor_lines_received_total{job="loki"}'), "lines"),
                    ),
                ),
                Panel(
                    title="Which lines does the store refuse?",
                    unit="cps",
                    limits=Limits(0.1, 10),
                    may_be_empty="no line was refused since the store started",
                    queries=(
                        Query(rate('vl_rows_dropped_total{job="victorialogs"}', "reason"), "{{reason}}"),
                        Query(rate('loki_discarded_samples_total{job="loki"}', "reason"), "{{reason}}"),
                    ),
                ),
                Panel(
                    title="How much does each shipper send?",
                    unit="Bps",
                    queries=(
                        Query(
                            rate('vlagent_remotewrite_bytes_sent_total{job="vlagent"}', "host"), "{{host}}"
                        ),
                        Query(rate('loki_write_sent_bytes_total{job="alloy"}', "host"), "{{host}}"),
                    ),
                ),
                Panel(
                    title="How much waits on each machine to be sent?",
                    unit="bytes",
                    limits=Limits(64 * 1024**2, 512 * 1024**2),
                    queries=(
                        Query(
                            'sum by (host) (vlagent_remotewrite_pending_data_bytes{job="vlagent"})',
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="Which shippers fail to send?",
                    unit="cps",
                    limits=Limits(0.1, 1),
                    queries=(
                        Query(rate('vlagent_remotewrite_errors_total{job="vlagent"}', "host"), "{{host}}"),
                        Query(rate('loki_write_dropped_entries_total{job="alloy"}', "host"), "{{host}}"),
                    ),
                ),
            ),
        ),
        Row(
            "What it costs",
            (
                Panel(
                    title="How much memory does each part take?",
                    unit="bytes",
                    kind="stacked",
                    queries=tuple(
                        Query(f'sum(process_resident_memory_bytes{{job="{job}"}})', job) for job in _MEMORY
                    ),
                ),
                Panel(
                    title="How much processor does each part take?",
                    note="1 is one core.",
                    unit="none",
                    kind="stacked",
                    queries=tuple(
                        Query(rate(f'process_cpu_seconds_total{{job="{job}"}}'), job) for job in _MEMORY
                    ),
                ),
            ),
        ),
    ),
)
