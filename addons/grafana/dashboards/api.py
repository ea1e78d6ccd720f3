"""The API servers as clients see them, their error budget, and the balancer before them."""

from __future__ import annotations

from addons.grafana.dashboards.expressions import or_zero, quantile, rate
from addons.grafana.dashboards.model import Dashboard, Limits, Panel, Query, Row

ALL = 'apiserver_request_total{job="apiserver"}'
FAILED = 'apiserver_request_total{job="apiserver",code=~"5.."}'
_BUCKETS = 'apiserver_request_sli_duration_seconds_bucket{job="apiserver",verb!~"WATCH|CONNECT"}'
_BUDGET = 0.01
"""Share of requests that may fail or be too slow: the objective of the alerts is 99 %."""
_BACKEND = 'job="haproxy",proxy="kube-apiservers"'


def _burn(window: str) -> Query:
    bad, every = (
        f"sum by (verb) (sum_over_time(apiserver_request:{which}:rate5m[{window}]))"
        for which in ("bad", "all")
    )
    return Query(f"{bad} / {every} / {_BUDGET}", f"{{{{verb}}}}, last {window}")


DASHBOARD = Dashboard(
    uid="plumbline-api",
    title="API server and balancer",
    about="Does the API answer, how fast, and where do its clients get through?",
    rows=(
        Row(
            "Requests",
            (
                Panel(
                    title="What is asked?",
                    unit="reqps",
                    kind="stacked",
                    queries=(Query(rate(ALL, "verb"), "{{verb}}"),),
                ),
                Panel(
                    title="What is answered?",
                    unit="reqps",
                    kind="stacked",
                    queries=(Query(rate(ALL, "code"), "{{code}}"),),
                ),
                Panel(
                    title="Which share fails?",
                    unit="percentunit",
                    limits=Limits(0.01, 0.05),
                    queries=(Query(f"{or_zero(rate(FAILED))} / {rate(ALL)}", "answered with 5xx"),),
                ),
                Panel(
                    title="How long do answers take?",
                    note="99 of 100 requests are answered within this time, watches and streams apart.",
                    unit="s",
                    limits=Limits(1, 5),
                    queries=(Query(quantile(0.99, _BUCKETS, "verb"), "{{verb}}"),),
                ),
                Panel(
                    title="How long does half of the answers take?",
                    unit="s",
                    queries=(Query(quantile(0.5, _BUCKETS, "verb"), "{{verb}}"),),
                ),
                Panel(
                    title="How many requests are under way?",
                    unit="none",
                    queries=(
                        Query(
                            'sum by (request_kind) (apiserver_current_inflight_requests{job="apiserver"})',
                            "{{request_kind}}",
                        ),
                    ),
                ),
                Panel(
                    title="How many watches does each server hold?",
                    unit="none",
                    queries=(
                        Query(
                            'sum by (host) (apiserver_longrunning_requests{job="apiserver",verb="WATCH"})',
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="What is refused because too much is asked?",
                    unit="reqps",
                    may_be_empty="nothing was refused since the servers started",
                    queries=(
                        Query(
                            rate('apiserver_flowcontrol_rejected_requests_total{job="apiserver"}', "reason"),
                            "{{reason}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Error budget",
            (
                Panel(
                    title="How fast is the error budget used up?",
                    note="At 1 the budget of 30 days (1 of 100 fails or is slow) lasts just as long. "
                    "Alerts fire at 14.4 for an hour, 6 for 6 hours, 3 for a day and 1 for 3 days.",
                    unit="none",
                    width=24,
                    limits=Limits(1, 14.4),
                    queries=tuple(_burn(window) for window in ("1h", "6h", "1d", "3d")),
                ),
            ),
        ),
        Row(
            "Servers",
            (
                Panel(
                    title="Does each API server answer?",
                    unit="none",
                    kind="states",
                    limits=Limits(1, 1, falling=True),
                    queries=(Query('min by (host) (up{job="apiserver"})', "{{host}}"),),
                ),
                Panel(
                    title="How many objects are kept?",
                    unit="none",
                    kind="bars",
                    queries=(
                        Query(
                            'topk(10, max by (resource) (apiserver_storage_objects{job="apiserver"}))',
                            "{{resource}}",
                        ),
                    ),
                ),
                Panel(
                    title="How much processor does each server take?",
                    note="1 is one core.",
                    unit="none",
                    queries=(Query(rate('process_cpu_seconds_total{job="apiserver"}', "host"), "{{host}}"),),
                ),
                Panel(
                    title="How much memory does each server take?",
                    unit="bytes",
                    queries=(
                        Query('sum by (host) (process_resident_memory_bytes{job="apiserver"})', "{{host}}"),
                    ),
                ),
            ),
        ),
        Row(
            "Balancer",
            (
                Panel(
                    title="Which API servers get new connections?",
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
                    title="How many connections does each API server have?",
                    unit="none",
                    kind="stacked",
                    queries=(
                        Query(
                            f"sum by (server) (haproxy_server_current_sessions{{{_BACKEND}}})", "{{server}}"
                        ),
                    ),
                ),
                Panel(
                    title="How long does a health check take?",
                    unit="s",
                    queries=(
                        Query(
                            f"max by (server) (haproxy_server_check_duration_seconds{{{_BACKEND}}})",
                            "{{server}}",
                        ),
                    ),
                ),
                Panel(
                    title="Which connections to API servers fail?",
                    unit="cps",
                    limits=Limits(0.1, 1),
                    queries=(
                        Query(
                            rate(f"haproxy_server_connection_errors_total{{{_BACKEND}}}", "server"),
                            "{{server}}",
                        ),
                    ),
                ),
                Panel(
                    title="How many clients are connected?",
                    unit="none",
                    queries=(
                        Query(
                            'sum(haproxy_frontend_current_sessions{job="haproxy",proxy="kube-apiserver"})',
                            "connections",
                        ),
                    ),
                ),
                Panel(
                    title="How much goes through?",
                    unit="Bps",
                    queries=(
                        Query(
                            rate('haproxy_frontend_bytes_in_total{job="haproxy",proxy="kube-apiserver"}'),
                            "to the API",
                        ),
                        Query(
                            rate('haproxy_frontend_bytes_out_total{job="haproxy",proxy="kube-apiserver"}'),
                            "from the API",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
