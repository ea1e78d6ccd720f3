"""Ways between pods and to them: the overlay, services, names, the ingress, addresses of the LAN."""

from __future__ import annotations

from addons.grafana.dashboards.expressions import or_zero, quantile, rate
from addons.grafana.dashboards.model import HOST, Dashboard, Limits, Panel, Query, Row

_OVERLAY = 'job="node",host=~"$host",device=~"flannel.*"'
_CLIENTS = 'job="traefik",entrypoint=~"web|websecure"'
_ANSWERS = 'coredns_dns_responses_total{job="coredns"}'
_UNANSWERED = 'coredns_dns_responses_total{job="coredns",rcode=~"SERVFAIL|REFUSED"}'
_HITS = 'coredns_cache_hits_total{job="coredns"}'
_ASKED = 'coredns_cache_requests_total{job="coredns"}'
_REQUESTS = f"traefik_entrypoint_requests_total{{{_CLIENTS}}}"
_ERRORS = f'traefik_entrypoint_requests_total{{{_CLIENTS},code=~"5.."}}'
_NO_CLIENT = "no client has asked the ingress since its pods started"

DASHBOARD = Dashboard(
    uid="plumbline-network",
    title="Network",
    about="Do packets, names and requests get through, and how fast?",
    variables=(HOST,),
    rows=(
        Row(
            "Pods and services",
            (
                Panel(
                    title="How much goes through the overlay?",
                    unit="Bps",
                    queries=(
                        Query(
                            rate(f"node_network_receive_bytes_total{{{_OVERLAY}}}", "host"),
                            "{{host}}: received",
                        ),
                        Query(
                            rate(f"node_network_transmit_bytes_total{{{_OVERLAY}}}", "host"), "{{host}}: sent"
                        ),
                    ),
                ),
                Panel(
                    title="Which packets does the overlay drop?",
                    unit="ops",
                    limits=Limits(1, 100),
                    queries=(
                        Query(
                            rate(f"node_network_receive_drop_total{{{_OVERLAY}}}", "host"),
                            "{{host}}: received",
                        ),
                        Query(
                            rate(f"node_network_transmit_drop_total{{{_OVERLAY}}}", "host"), "{{host}}: sent"
                        ),
                    ),
                ),
                Panel(
                    title="How long does a node take to learn of a changed service?",
                    note="99 of 100 changes are written to the node's rules within this time.",
                    unit="s",
                    limits=Limits(5, 20),
                    queries=(
                        Query(
                            quantile(
                                0.99,
                                'kubeproxy_network_programming_duration_seconds_bucket{job="kube-proxy",'
                                'host=~"$host"}',
                                "host",
                            ),
                            "{{host}}",
                        ),
                    ),
                ),
                Panel(
                    title="How long does it take to write the rules of all services?",
                    unit="s",
                    limits=Limits(1, 5),
                    queries=(
                        Query(
                            quantile(
                                0.99,
                                'kubeproxy_sync_proxy_rules_duration_seconds_bucket{job="kube-proxy",'
                                'host=~"$host"}',
                                "host",
                            ),
                            "{{host}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Names",
            (
                Panel(
                    title="What are names answered with?",
                    unit="reqps",
                    kind="stacked",
                    queries=(Query(rate(_ANSWERS, "rcode"), "{{rcode}}"),),
                ),
                Panel(
                    title="Which share of names is not answered?",
                    unit="percentunit",
                    limits=Limits(0.01, 0.05),
                    queries=(Query(f"{or_zero(rate(_UNANSWERED))} / {rate(_ANSWERS)}", "SERVFAIL, REFUSED"),),
                ),
                Panel(
                    title="How long does an answer take?",
                    note="99 of 100 names are answered within this time.",
                    unit="s",
                    limits=Limits(0.5, 2),
                    queries=(
                        Query(
                            quantile(0.99, 'coredns_dns_request_duration_seconds_bucket{job="coredns"}'),
                            "all names",
                        ),
                    ),
                ),
                Panel(
                    title="How long do the name servers outside take?",
                    note="99 of 100 names that are not the cluster's are answered within this time.",
                    unit="s",
                    limits=Limits(0.5, 2),
                    may_be_empty="no name outside the cluster was asked for since CoreDNS started",
                    queries=(
                        Query(
                            quantile(
                                0.99, 'coredns_proxy_request_duration_seconds_bucket{job="coredns"}', "to"
                            ),
                            "{{to}}",
                        ),
                    ),
                ),
                Panel(
                    title="Which share is answered from memory?",
                    unit="percentunit",
                    may_be_empty="no name was asked for twice since CoreDNS started",
                    queries=(Query(f"{rate(_HITS)} / {rate(_ASKED)}", "cache"),),
                ),
            ),
        ),
        Row(
            "Ingress",
            (
                Panel(
                    title="What are clients answered?",
                    unit="reqps",
                    kind="stacked",
                    may_be_empty=_NO_CLIENT,
                    queries=(Query(rate(_REQUESTS, "code"), "{{code}}"),),
                ),
                Panel(
                    title="Which share of requests fails?",
                    unit="percentunit",
                    limits=Limits(0.01, 0.05),
                    may_be_empty=_NO_CLIENT,
                    queries=(Query(f"{or_zero(rate(_ERRORS))} / {rate(_REQUESTS)}", "answered with 5xx"),),
                ),
                Panel(
                    title="How long does a request take?",
                    note="99 of 100 requests are answered within this time.",
                    unit="s",
                    limits=Limits(0.5, 1),
                    may_be_empty=_NO_CLIENT,
                    queries=(
                        Query(
                            quantile(
                                0.99,
                                f"traefik_entrypoint_request_duration_seconds_bucket{{{_CLIENTS}}}",
                                "entrypoint",
                            ),
                            "{{entrypoint}}",
                        ),
                    ),
                ),
                Panel(
                    title="How many connections are open?",
                    unit="none",
                    queries=(
                        Query(
                            'sum by (entrypoint) (traefik_open_connections{job="traefik"})', "{{entrypoint}}"
                        ),
                    ),
                ),
                Panel(
                    title="When did the ingress take up its routes?",
                    unit="dateTimeFromNow",
                    kind="number",
                    queries=(
                        Query(
                            'min(traefik_config_last_reload_success{job="traefik"}) * 1000', "oldest replica"
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Addresses of the LAN",
            (
                Panel(
                    title="Who announces which address?",
                    unit="none",
                    kind="table",
                    may_be_empty="no service has an address of a pool",
                    queries=(
                        Query('max by (ip, node, service) (metallb_speaker_announced{job="metallb"} == 1)'),
                    ),
                ),
                Panel(
                    title="How many speakers announce each address?",
                    note="One at a time: two answer each other's clients.",
                    unit="none",
                    limits=Limits(2, 2),
                    may_be_empty="no service has an address of a pool",
                    queries=(
                        Query(
                            "count by (ip) "
                            '(max by (ip, node) (metallb_speaker_announced{job="metallb"} == 1))',
                            "{{ip}}",
                        ),
                    ),
                ),
                Panel(
                    title="How many addresses of each pool are used?",
                    unit="none",
                    queries=(
                        Query(
                            'max by (pool) (metallb_allocator_addresses_in_use_total{job="metallb"})',
                            "{{pool}}: used",
                        ),
                        Query(
                            'max by (pool) (metallb_allocator_addresses_total{job="metallb"})',
                            "{{pool}}: all",
                        ),
                    ),
                ),
                Panel(
                    title="Which pods of MetalLB work with an old configuration?",
                    unit="none",
                    kind="number",
                    limits=Limits(1, 1),
                    queries=(Query('sum(metallb_k8s_client_config_stale_bool{job="metallb"})', "old"),),
                ),
            ),
        ),
    ),
)
