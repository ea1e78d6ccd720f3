"""What kube-state-metrics tells of nodes, as Prometheus has it."""

from __future__ import annotations

from collections.abc import Iterable

from addons.prometheus.asking import Sample

NODES = 'max by (node, label_kubernetes_io_arch) (kube_node_labels{job="kube-state-metrics"})'


def architectures(found: Iterable[Sample]) -> dict[str, str]:
    """The architecture of each node, as its label is told."""
    return {one.labels["node"]: one.labels.get("label_kubernetes_io_arch", "not told") for one in found}
