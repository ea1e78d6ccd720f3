"""Which alert holds which others back, so that one cause is one message.

Matchers are regular expressions over a whole label's value. A label that neither alert has counts as equal
(Alertmanager's rule), and an alert that is on both sides of a rule is never held back by such another.
What holds back must be there when the others are told, so its `for` is not longer than theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EVERYWHERE = ("cluster", "short_for")
"""Alerts of the suite's copy and real ones never hold each other back."""
OF_LEVELS = (
    "alertname",
    "certificate",
    "device",
    "file",
    "grpc_method",
    "grpc_service",
    "host",
    "mountpoint",
    "verb",
)
"""Labels that name the object of an alert with more than one severity."""
OF_THE_API = (
    "AggregatedApiFails|ApiserverBudgetBurns|DaemonSetShort|DeploymentShort|KubeStateMetricsFails|"
    "KubernetesClientErrors|LeaderLeaseStale|NodeFlaps|NodeNotReady|NodeUnreachable|PodNotReady|StatefulSetShort"
)
"""What is told when nobody reaches the API, though each of these may be well."""


@dataclass(frozen=True)
class Inhibition:
    """While an alert of `source` fires, those of `target` with the same labels `equal` are held back."""

    reason: str
    source: Mapping[str, str]
    target: Mapping[str, str]
    equal: tuple[str, ...] = ()

    def written(self) -> dict[str, Any]:
        """As Alertmanager reads it."""
        return {
            "source_matchers": _matchers(self.source),
            "target_matchers": _matchers(self.target),
            "equal": [*EVERYWHERE, *self.equal],
        }


def _matchers(labels: Mapping[str, str]) -> list[str]:
    return [f'{label}=~"{pattern}"' for label, pattern in labels.items()]


def _named(source: str, target: str, *equal: str, reason: str) -> Inhibition:
    return Inhibition(reason, {"alertname": source}, {"alertname": target}, equal)


INHIBITIONS = (
    Inhibition(
        "a machine that is off is one message, whatever else ran on it",
        {"alertname": "HostDown"},
        {"host": ".+"},
        ("host",),
    ),
    Inhibition(
        "the other masters tell of the one that is off",
        {"alertname": "HostDown", "role": "control-plane"},
        {
            "alertname": "EtcdLeaderChanges|EtcdPeerSlow|EtcdPeerUnreachable|EtcdRequestsFail|"
            "KubernetesClientErrors"
        },
    ),
    _named(
        "HostDown",
        "AlertmanagerMemberMissing|DisruptionBudgetBroken|PrometheusCannotNotify",
        reason="what stood on the machine that is off is missed elsewhere",
    ),
    Inhibition(
        "without its balancer nobody reaches the API",
        {"alertname": "HostDown", "role": "load-balancer"},
        {"alertname": OF_THE_API},
    ),
    _named("HaproxyDown|ApiserversGone", OF_THE_API, reason="nobody reaches the API"),
    _named(
        "EtcdQuorumLost",
        f"{OF_THE_API}|ApiserverDown|ApiserversGone|ControlPlanePartDown|ControlPlanePartGone|EtcdNoLeader|"
        "EtcdProposalsFail|EtcdRequestsFail|HaproxyServerDown|HaproxyServersFew",
        reason="an API server without etcd is not ready",
    ),
    _named(
        "ApiserversGone",
        "ControlPlanePartGone|HaproxyServerDown|HaproxyServersFew",
        reason="nobody leads without an API, and the balancer has nobody to lead to",
    ),
    _named("ApiserversGone", "ApiserverDown", "job", reason="all of them are more than one of them"),
    _named(
        "ControlPlanePartGone", "ControlPlanePartDown", "job", reason="all of them are more than one of them"
    ),
    _named(
        "ApiserverDown", "HaproxyServerDown", "host", reason="the balancer leaves out what does not answer"
    ),
    _named(
        "KubeletDown",
        "NodeNotReady|NodeUnreachable|NodeFlaps|PodNotReady|TargetDown",
        "host",
        reason="a node without its kubelet",
    ),
    _named(
        "NodeNotReady", "NodeUnreachable|NodeFlaps|PodNotReady", "host", reason="a node that is not Ready"
    ),
    _named(
        "ContainerCrashLoops",
        "PodNotReady",
        "namespace",
        "pod",
        reason="why the pod is not ready says more than that it is not",
    ),
    _named("TargetDown", "LogShipperSilent", "host", reason="the shipper itself is not there"),
    _named(
        "FilesystemNearlyFull",
        "FilesystemFillsUp",
        "host",
        "mountpoint",
        reason="nearly full is more than filling up",
    ),
    _named(
        "InodesNearlyGone", "InodesFillUp", "host", "mountpoint", reason="nearly gone is more than filling up"
    ),
    _named(
        "VolumeNearlyFull",
        "VolumeFillsUp",
        "namespace",
        "persistentvolumeclaim",
        "of",
        reason="nearly full is more than filling up",
    ),
    _named("EtcdRoomLow", "EtcdRoomEnds", "host", reason="full is more than filling up"),
    _named(
        "PrometheusNotifiesNobody", "PrometheusCannotNotify", reason="none of them is more than one of them"
    ),
    Inhibition(
        "what is critical is not told as a warning too",
        {"severity": "critical"},
        {"severity": "warning|info"},
        OF_LEVELS,
    ),
    Inhibition(
        "what is told beside others alone waits for them",
        {"alertname": "InfoInhibitor"},
        {"severity": "info"},
        ("host",),
    ),
)
