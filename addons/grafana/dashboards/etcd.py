"""etcd: whether its members agree, how fast its disks are, and how full it is."""

from __future__ import annotations

from addons.grafana.dashboards.expressions import growth, or_zero, quantile, rate
from addons.grafana.dashboards.model import Dashboard, Limits, Panel, Query, Row

_CALLS = 'grpc_server_handled_total{job="etcd"}'
_BAD = "Unknown|FailedPrecondition|ResourceExhausted|Internal|Unavailable|DataLoss|DeadlineExceeded"
_FAILED = f'grpc_server_handled_total{{job="etcd",grpc_code=~"{_BAD}"}}'

DASHBOARD = Dashboard(
    uid="plumbline-etcd",
    title="etcd",
    about="Do the members agree, are their disks fast enough, and is there room?",
    rows=(
        Row(
            "Agreement",
            (
                Panel(
                    title="Which members have a leader?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1, falling=True),
                    queries=(Query('min by (host) (etcd_server_has_leader{job="etcd"})', "{{host}}"),),
                ),
                Panel(
                    title="Who is the leader?",
                    unit="none",
                    kind="states",
                    queries=(Query('max by (host) (etcd_server_is_leader{job="etcd"})', "{{host}}"),),
                ),
                Panel(
                    title="How often did the leader change in a day?",
                    unit="none",
                    limits=Limits(3, 10),
                    queries=(
                        Query(
                            'max(increase(etcd_server_leader_changes_seen_total{job="etcd"}[1d]))', "changes"
                        ),
                    ),
                ),
                Panel(
                    title="Do proposals fail or wait?",
                    unit="none",
                    queries=(
                        Query(
                            growth('etcd_server_proposals_failed_total{job="etcd"}', "host"),
                            "{{host}}: failed",
                        ),
                        Query(
                            'max by (host) (etcd_server_proposals_pending{job="etcd"})', "{{host}}: waiting"
                        ),
                    ),
                ),
                Panel(
                    title="How far is each member behind?",
                    note="Proposals that the members agreed on and that a member has not applied yet.",
                    unit="none",
                    queries=(
                        Query(
                            'max by (host) (etcd_server_proposals_committed_total{job="etcd"}'
                            ' - etcd_server_proposals_applied_total{job="etcd"})',
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="How long is the way between members?",
                    unit="s",
                    only="several masters",
                    limits=Limits(0.1, 0.15),
                    queries=(
                        Query(
                            quantile(
                                0.99, 'etcd_network_peer_round_trip_time_seconds_bucket{job="etcd"}', "host"
                            ),
                            "{{host}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Disks",
            (
                Panel(
                    title="How long does the log take to reach the disk?",
                    note="99 of 100 writes take no longer. etcd wants 10 ms; at 0.5 s members lose touch.",
                    unit="s",
                    limits=Limits(0.01, 0.5),
                    queries=(
                        Query(
                            quantile(0.99, 'etcd_disk_wal_fsync_duration_seconds_bucket{job="etcd"}', "host"),
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="How long does a commit take?",
                    note="99 of 100 commits of the database take no longer.",
                    unit="s",
                    limits=Limits(0.025, 0.25),
                    queries=(
                        Query(
                            quantile(
                                0.99, 'etcd_disk_backend_commit_duration_seconds_bucket{job="etcd"}', "host"
                            ),
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="How full is the database?",
                    unit="percentunit",
                    limits=Limits(0.8, 0.95),
                    queries=(
                        Query(
                            'max by (host) (etcd_mvcc_db_total_size_in_bytes{job="etcd"}'
                            ' / etcd_server_quota_backend_bytes{job="etcd"})',
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="How large is the database, and how much of it is used?",
                    note="What is not used comes free by a defragmentation.",
                    unit="bytes",
                    queries=(
                        Query(
                            'max by (host) (etcd_mvcc_db_total_size_in_bytes{job="etcd"})', "{{host}}: size"
                        ),
                        Query(
                            'max by (host) (etcd_mvcc_db_total_size_in_use_in_bytes{job="etcd"})',
                            "{{host}}: used",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Clients and traffic",
            (
                Panel(
                    title="What do clients ask?",
                    unit="reqps",
                    kind="stacked",
                    queries=(
                        Query(
                            rate('grpc_server_handled_total{job="etcd",grpc_type="unary"}', "grpc_method"),
                            "{{grpc_method}}",
                        ),
                    ),
                ),
                Panel(
                    title="Which share of calls fails?",
                    unit="percentunit",
                    limits=Limits(0.01, 0.05),
                    queries=(Query(f"{or_zero(rate(_FAILED))} / {rate(_CALLS)}", "failed"),),
                ),
                Panel(
                    title="How much do clients send and get?",
                    unit="Bps",
                    queries=(
                        Query(
                            rate('etcd_network_client_grpc_received_bytes_total{job="etcd"}', "host"),
                            "{{host}}: from clients",
                        ),
                        Query(
                            rate('etcd_network_client_grpc_sent_bytes_total{job="etcd"}', "host"),
                            "{{host}}: to clients",
                        ),
                    ),
                ),
                Panel(
                    title="How much do members send each other?",
                    unit="Bps",
                    only="several masters",
                    queries=(
                        Query(
                            rate('etcd_network_peer_sent_bytes_total{job="etcd"}', "host"), "from {{host}}"
                        ),
                        Query(
                            rate('etcd_network_peer_received_bytes_total{job="etcd"}', "host"), "to {{host}}"
                        ),
                    ),
                ),
                Panel(
                    title="How often is a request applied slowly?",
                    unit="ops",
                    queries=(Query(rate('etcd_server_slow_apply_total{job="etcd"}', "host"), "{{host}}"),),
                ),
                Panel(
                    title="How much memory does each member take?",
                    unit="bytes",
                    queries=(Query('sum by (host) (process_resident_memory_bytes{job="etcd"})', "{{host}}"),),
                ),
            ),
        ),
    ),
)
