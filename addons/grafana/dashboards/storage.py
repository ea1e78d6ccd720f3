"""Room on disks: of machines, of etcd, of metrics and of logs, and how long it will do."""

from __future__ import annotations

from addons.grafana.dashboards.expressions import rate
from addons.grafana.dashboards.model import HOST, Dashboard, Limits, Panel, Query, Row

_DISK = 'job="node",host=~"$host"'
_FILES = f'{_DISK},fstype!~"tmpfs|ramfs"'

DASHBOARD = Dashboard(
    uid="plumbline-storage",
    title="Storage",
    about="How full are disks, when will they be full, and how fast are they?",
    variables=(HOST,),
    rows=(
        Row(
            "Room of machines",
            (
                Panel(
                    title="How full is each filesystem?",
                    unit="percentunit",
                    kind="bars",
                    limits=Limits(0.85, 0.97),
                    queries=(
                        Query(
                            f"1 - min by (host, mountpoint) (node_filesystem_avail_bytes{{{_FILES}}}"
                            f" / node_filesystem_size_bytes{{{_FILES}}})",
                            "{{host}} {{mountpoint}}",
                        ),
                    ),
                ),
                Panel(
                    title="How full will it be tomorrow?",
                    note="If it goes on as in the last 6 hours.",
                    unit="percentunit",
                    limits=Limits(0.9, 1),
                    queries=(
                        Query(
                            "1 - min by (host, mountpoint) "
                            f"(predict_linear(node_filesystem_avail_bytes{{{_FILES}}}[6h], 86400)"
                            f" / node_filesystem_size_bytes{{{_FILES}}})",
                            "{{host}} {{mountpoint}}",
                        ),
                    ),
                ),
                Panel(
                    title="How many of its inodes does each filesystem use?",
                    unit="percentunit",
                    limits=Limits(0.6, 0.95),
                    queries=(
                        Query(
                            f"1 - min by (host, mountpoint) (node_filesystem_files_free{{{_FILES}}}"
                            f" / (node_filesystem_files{{{_FILES}}} > 0))",
                            "{{host}} {{mountpoint}}",
                        ),
                    ),
                ),
                Panel(
                    title="How much do the logs of pods take?",
                    unit="bytes",
                    kind="stacked",
                    queries=(
                        Query(
                            'sum by (host) (kubelet_container_log_filesystem_used_bytes{job="kubelet",'
                            'host=~"$host"})',
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
                    title="How much is read and written?",
                    unit="Bps",
                    queries=(
                        Query(rate(f"node_disk_read_bytes_total{{{_DISK}}}", "host"), "{{host}}: read"),
                        Query(rate(f"node_disk_written_bytes_total{{{_DISK}}}", "host"), "{{host}}: written"),
                    ),
                ),
                Panel(
                    title="How long does a write take?",
                    unit="s",
                    limits=Limits(0.05, 0.5),
                    queries=(
                        Query(
                            f"{rate(f'node_disk_write_time_seconds_total{{{_DISK}}}', 'host', 'device')}"
                            f" / {rate(f'node_disk_writes_completed_total{{{_DISK}}}', 'host', 'device')}",
                            "{{host}} {{device}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Room of the platform's own data",
            (
                Panel(
                    title="How full is etcd?",
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
                    title="How much do metrics take, and how much may they?",
                    unit="bytes",
                    queries=(
                        Query(
                            'sum(prometheus_tsdb_storage_blocks_bytes{job="prometheus"}'
                            ' + prometheus_tsdb_wal_storage_size_bytes{job="prometheus"})',
                            "taken",
                        ),
                        Query('sum(prometheus_tsdb_retention_limit_bytes{job="prometheus"})', "limit"),
                    ),
                ),
                Panel(
                    title="How much do logs take, and how much may they?",
                    unit="bytes",
                    queries=(
                        Query('sum(vl_data_size_bytes{job="victorialogs"})', "taken"),
                        Query('sum(vl_max_disk_space_usage_bytes{job="victorialogs"})', "limit"),
                        Query('sum(vl_free_disk_space_bytes{job="victorialogs"})', "free on the disk"),
                    ),
                ),
            ),
        ),
    ),
)
