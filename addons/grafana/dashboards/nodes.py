"""Machines: of each resource, how much is used, what waits and what fails (Brendan Gregg's USE method)."""

from __future__ import annotations

from addons.grafana.dashboards.expressions import rate
from addons.grafana.dashboards.model import HOST, Dashboard, Limits, Panel, Query, Row

_OF = 'job="node",host=~"$host"'
_LINKS = 'device!~"lo|veth.*|cni.*|flannel.*"'
IDLE = f'node_cpu_seconds_total{{{_OF},mode="idle"}}'


def _pressure(resource: str, doing: str) -> Panel:
    return Panel(
        title=f"For how much of the time did work wait for {doing}?",
        unit="percentunit",
        limits=Limits(0.2, 0.5),
        queries=(
            Query(rate(f"node_pressure_{resource}_waiting_seconds_total{{{_OF}}}", "host"), "{{host}}"),
        ),
    )


DASHBOARD = Dashboard(
    uid="plumbline-nodes",
    title="Machines",
    about="Of processor, memory, disk and network: how much is used, what waits, what fails?",
    variables=(HOST,),
    rows=(
        Row(
            "Processor",
            (
                Panel(
                    title="How busy is each machine?",
                    unit="percentunit",
                    limits=Limits(0.8, 0.9),
                    queries=(Query(f"1 - avg by (host) (rate({IDLE}[$__rate_interval]))", "{{host}}"),),
                ),
                Panel(
                    title="How many tasks want each core?",
                    unit="none",
                    limits=Limits(1, 2),
                    queries=(
                        Query(
                            f"max by (host) (node_load1{{{_OF}}})"
                            f" / count by (host) (rate({IDLE}[$__rate_interval]))",
                            "{{host}}",
                        ),
                    ),
                ),
                _pressure("cpu", "a processor"),
                Panel(
                    title="How busy is each architecture?",
                    unit="percentunit",
                    queries=(Query(f"1 - avg by (arch) (rate({IDLE}[$__rate_interval]))", "{{arch}}"),),
                ),
            ),
        ),
        Row(
            "Memory",
            (
                Panel(
                    title="How full is the memory?",
                    unit="percentunit",
                    limits=Limits(0.8, 0.9),
                    queries=(
                        Query(
                            f"1 - max by (host) (node_memory_MemAvailable_bytes{{{_OF}}}"
                            f" / node_memory_MemTotal_bytes{{{_OF}}})",
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="How often is memory read from the disk?",
                    unit="ops",
                    limits=Limits(100, 500),
                    queries=(Query(rate(f"node_vmstat_pgmajfault{{{_OF}}}", "host"), "{{host}}"),),
                ),
                _pressure("memory", "memory"),
            ),
        ),
        Row(
            "Disk",
            (
                Panel(
                    title="How busy is each disk?",
                    unit="percentunit",
                    limits=Limits(0.8, 0.95),
                    queries=(
                        Query(
                            rate(f"node_disk_io_time_seconds_total{{{_OF}}}", "host", "device"),
                            "{{host}} {{device}}",
                        ),
                    ),
                ),
                Panel(
                    title="How many requests wait for each disk?",
                    unit="none",
                    limits=Limits(5, 10),
                    queries=(
                        Query(
                            rate(f"node_disk_io_time_weighted_seconds_total{{{_OF}}}", "host", "device"),
                            "{{host}} {{device}}",
                        ),
                    ),
                ),
                _pressure("io", "a disk"),
            ),
        ),
        Row(
            "Network",
            (
                Panel(
                    title="How much does each machine receive?",
                    unit="Bps",
                    queries=(
                        Query(
                            rate(f"node_network_receive_bytes_total{{{_OF},{_LINKS}}}", "host"), "{{host}}"
                        ),
                    ),
                ),
                Panel(
                    title="How much does each machine send?",
                    unit="Bps",
                    queries=(
                        Query(
                            rate(f"node_network_transmit_bytes_total{{{_OF},{_LINKS}}}", "host"), "{{host}}"
                        ),
                    ),
                ),
                Panel(
                    title="Which packets are lost or broken?",
                    unit="ops",
                    limits=Limits(1, 100),
                    queries=(
                        Query(
                            rate(f"node_network_receive_errs_total{{{_OF},{_LINKS}}}", "host"),
                            "{{host}}: broken",
                        ),
                        Query(
                            rate(f"node_network_receive_drop_total{{{_OF},{_LINKS}}}", "host"),
                            "{{host}}: dropped when received",
                        ),
                        Query(
                            rate(f"node_network_transmit_drop_total{{{_OF},{_LINKS}}}", "host"),
                            "{{host}}: dropped when sent",
                        ),
                    ),
                ),
                Panel(
                    title="How full is the table of connections?",
                    unit="percentunit",
                    limits=Limits(0.75, 0.9),
                    queries=(
                        Query(
                            f"max by (host) (node_nf_conntrack_entries{{{_OF}}}"
                            f" / node_nf_conntrack_entries_limit{{{_OF}}})",
                            "{{host}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Clock and services",
            (
                Panel(
                    title="How wrong is each clock?",
                    unit="s",
                    limits=Limits(0.05, 0.5),
                    queries=(Query(f"max by (host) (abs(node_timex_offset_seconds{{{_OF}}}))", "{{host}}"),),
                ),
                Panel(
                    title="How long is each machine up?",
                    unit="s",
                    kind="bars",
                    queries=(Query(f"time() - max by (host) (node_boot_time_seconds{{{_OF}}})", "{{host}}"),),
                ),
                Panel(
                    title="Which units of systemd have failed?",
                    unit="none",
                    kind="table",
                    may_be_empty="no unit has failed",
                    queries=(
                        Query(f'max by (host, name) (node_systemd_unit_state{{{_OF},state="failed"}} == 1)'),
                    ),
                ),
                Panel(
                    title="How warm is each Raspberry Pi?",
                    note="Its firmware slows it down from 80 degrees on.",
                    unit="celsius",
                    only="raspberry pi",
                    limits=Limits(70, 80),
                    queries=(Query(f"max by (host) (node_thermal_zone_temp{{{_OF}}})", "{{host}}"),),
                ),
            ),
        ),
    ),
)
