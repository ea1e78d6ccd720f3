"""One cause is one message: what is left of all that fires when something breaks."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from addons.alertmanager.section_inhibition import EVERYWHERE, INHIBITIONS, OF_LEVELS, Inhibition
from addons.prometheus.rule_cases import cases
from addons.prometheus.section_rules import rule_files

Labels = Mapping[str, str]
ALERTS = {alert.alert: alert for file in rule_files().values() for alert in file.alerts}
GROWN_BY_LEVEL = {"severity", "window"}
"""Labels that differ between the levels of one alert about one object."""


NOT_OF_A_DEAD_MACHINE = {"InfoInhibitor", "KubeletCertificateEnds", "KubeletEvicts", "RootReadOnly"}
"""What is told of a machine before it is known to be off: only a machine that answers says it."""


def soonest(name: str) -> int:
    """Seconds until an alert fires at the first of its levels."""
    return min(level.seconds for level in ALERTS[name].levels)


def labels_of(name: str) -> set[str]:
    """The labels that an alert fires with in its cases."""
    some = next(own[name] for own in cases().values() if name in own)
    return {label for case in some for one in case.firing for label in one.labels}


def alert(name: str, severity: str = "", /, **labels: str) -> Labels:
    """An alert as Alertmanager gets it; the severity of its first level unless told."""
    told = severity or ALERTS[name].levels[0].severity
    return {"alertname": name, "severity": told, "cluster": "rehearsal", **labels}


def fits(matchers: Labels, labels: Labels) -> bool:
    return all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in matchers.items())


def holds(rule: Inhibition, source: Labels, target: Labels) -> bool:
    """Alertmanager's rule, that of alerts which are on both sides included."""
    if not (fits(rule.source, source) and fits(rule.target, target)):
        return False
    if fits(rule.source, target) and fits(rule.target, source):
        return False
    return all(source.get(name, "") == target.get(name, "") for name in (*EVERYWHERE, *rule.equal))


def left(firing: list[Labels]) -> list[str]:
    """Names of the alerts of a cause of which people are told."""
    return [
        target["alertname"]
        for target in firing
        if not any(holds(rule, source, target) for rule in INHIBITIONS for source in firing)
    ]


def machine(host: str, *names: str) -> list[Labels]:
    return [alert(name, host=host) for name in names]


WORKER_OFF = [
    alert("HostDown", host="worker-1", role="worker"),
    *machine("worker-1", "KubeletDown", "NodeNotReady", "NodeUnreachable", "PodNotReady", "LogShipperSilent"),
    *(alert("TargetDown", host="worker-1", job=job) for job in ("node", "cadvisor", "metallb", "vlagent")),
    alert("ControlPlanePartDown", host="worker-1", job="kube-proxy"),
    alert("AlertmanagerMemberMissing", job="alertmanager", instance="10.244.3.7:9093"),
]
MASTER_OFF = [
    alert("HostDown", host="master-2", role="control-plane"),
    *machine(
        "master-2", "KubeletDown", "NodeNotReady", "NodeUnreachable", "EtcdMemberDown", "HaproxyServerDown"
    ),
    *(alert("ControlPlanePartDown", host="master-2", job=job) for job in ("kube-scheduler", "kube-proxy")),
    alert("ApiserverDown", host="master-2", job="apiserver"),
    alert("TargetDown", host="master-2", job="node"),
    *(alert("EtcdPeerUnreachable", host=f"master-{number}", To="a1") for number in (1, 3)),
    alert("EtcdRequestsFail", host="master-1", grpc_method="Txn"),
]
BALANCER_OFF = [
    alert("HostDown", host="haproxy", role="load-balancer"),
    alert("HaproxyDown", host="haproxy", job="haproxy"),
    alert("TargetDown", host="haproxy", job="node"),
    *(alert("NodeNotReady", host=f"worker-{number}") for number in (1, 2)),
    alert("LeaderLeaseStale", lease="kube-scheduler"),
    alert("PodNotReady", host="worker-1", namespace="web", pod="a"),
]


@pytest.mark.parametrize(
    ("firing", "told"),
    [
        (WORKER_OFF, ["HostDown"]),
        (MASTER_OFF, ["HostDown"]),
        (BALANCER_OFF, ["HostDown"]),
        # its machine runs, HAProxy does not
        (BALANCER_OFF[1:], ["HaproxyDown", "TargetDown"]),
        ([*WORKER_OFF[1:4], alert("TargetDown", host="worker-1", job="cadvisor")], ["KubeletDown"]),
        # two masters: the machines, and what that means
        (
            [
                *MASTER_OFF,
                alert("HostDown", host="master-3", role="control-plane"),
                alert("EtcdQuorumLost", job="etcd"),
                alert("ApiserversGone", job="apiserver"),
                alert("ApiserverDown", host="master-1", job="apiserver"),
                alert("HaproxyServersFew", job="haproxy"),
                alert("EtcdNoLeader", host="master-1", job="etcd"),
            ],
            ["HostDown", "HostDown", "EtcdQuorumLost"],
        ),
        # another machine's trouble is told beside it
        ([WORKER_OFF[0], alert("MemoryScarce", host="worker-2")], ["HostDown", "MemoryScarce"]),
        ([alert("EtcdDiskSlow", "critical", host="m"), alert("EtcdDiskSlow", host="m")], ["EtcdDiskSlow"]),
        (
            [alert("EtcdDiskSlow", "critical", host="m"), alert("EtcdDiskSlow", host="n")],
            ["EtcdDiskSlow"] * 2,
        ),
        ([alert("InfoInhibitor", host="m"), alert("CpuBusy", host="m")], ["InfoInhibitor"]),
        ([alert("InfoInhibitor", host="m"), alert("CpuBusy", host="n")], ["InfoInhibitor", "CpuBusy"]),
    ],
)
def test_one_cause_is_one_message(firing: list[Labels], told: list[str]) -> None:
    assert left(firing) == told


def test_the_suites_copy_and_real_alerts_do_not_hold_each_other_back() -> None:
    short = alert("HostDown", host="worker-1", role="worker", short_for="true")
    assert left([short, *machine("worker-1", "KubeletDown")]) == ["HostDown", "KubeletDown"]
    both = [short, alert("KubeletDown", host="worker-1", short_for="true")]
    assert left(both) == ["HostDown"]


def test_every_name_is_an_alerts() -> None:
    sides = [side for rule in INHIBITIONS for side in (rule.source, rule.target)]
    names = {name for side in sides if "alertname" in side for name in side["alertname"].split("|")}
    assert names - ALERTS.keys() == set()


def test_what_holds_back_fires_no_later_than_what_it_holds_back() -> None:
    late = [
        (source, target)
        for rule in INHIBITIONS
        if "alertname" in rule.source and "alertname" in rule.target
        for source in rule.source["alertname"].split("|")
        for target in rule.target["alertname"].split("|")
        if soonest(source) > soonest(target)
    ]
    assert late == []
    others = {name for name, item in ALERTS.items() if soonest(name) < soonest("HostDown")}
    assert {name for name in others if "host" in labels_of(name)} <= NOT_OF_A_DEAD_MACHINE


def test_what_is_equal_is_a_label_of_both_sides() -> None:
    """An alert that has not the label would be held back by one that has not either."""
    carried = {
        name: [one.labels.keys() for case in some for one in case.firing]
        for own in cases().values()
        for name, some in own.items()
    }
    for rule in INHIBITIONS:
        if "severity" in rule.source:
            continue
        for side in (rule.source, rule.target):
            for name in side.get("alertname", "").split("|") if "alertname" in side else ():
                for labels in carried[name]:
                    # a target may be of a kind that has no machine, as a pod that has no node yet
                    assert set(rule.equal) <= labels or (side is rule.target and "host" in rule.equal), name


def test_levels_are_told_apart_by_all_labels_of_their_object() -> None:
    many = {name for name, item in ALERTS.items() if len({level.severity for level in item.levels}) > 1}
    found = {
        label
        for own in cases().values()
        for name, some in own.items()
        if name in many
        for case in some
        for one in case.firing
        for label in one.labels
    }
    assert found - GROWN_BY_LEVEL - {"job"} <= set(OF_LEVELS)


def test_it_is_written_as_alertmanager_reads_it() -> None:
    rule = Inhibition("why", {"alertname": "A|B"}, {"host": ".+"}, ("host",))
    assert rule.written() == {
        "source_matchers": ['alertname=~"A|B"'],
        "target_matchers": ['host=~".+"'],
        "equal": ["cluster", "short_for", "host"],
    }
