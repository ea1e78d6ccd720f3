"""Layer render: what kubeadm keeps on loopback is not moved by our documents."""

from __future__ import annotations

import re

import pytest

from lab.checks.driver import Driver
from lab.checks.verbs import nothing
from lab.render.kubeadm import init

MOVES = re.compile(r"bind-address|listen-metrics-urls|metricsBindAddress|healthzBindAddress")
"""Flags and fields of kube-scheduler, kube-controller-manager, etcd and kube-proxy."""


@pytest.mark.check("P0-01")
def test_no_document_moves_metrics_off_loopback(driver: Driver) -> None:
    """No flag and no field of kubeadm's documents says where metrics listen."""
    found = {
        name: MOVES.findall(init(driver.inventory, driver.traits[name], driver.pins, name))
        for name in driver.inventory.masters
    }
    moved = {name: words for name, words in found.items() if words}
    nothing("documents of kubeadm that move metrics", moved, rule="none", command="invoke render")
