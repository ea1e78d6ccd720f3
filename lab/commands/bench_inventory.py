"""bench --what inventory: what an inventory costs before there is a machine; needs no lab and makes none."""

from __future__ import annotations

import base64
import os
import shutil
import statistics
import tempfile
import time
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from lab.cluster.kubeadm import UNIT
from lab.commands.measured import Cost, measured
from lab.commands.session import ROOT
from lab.hosts.converge import EVIDENCE, HostFacts, compare
from lab.hosts.held import HeldFile
from lab.hosts.units import HeldUnit
from lab.inventory.models import Inventory
from lab.inventory.providers import names, rules_of
from lab.providers.opening import traits_of
from lab.render.bundle import Bundle, bundle, pins
from lab.render.components import KUBELET_CONFIG

SIZES = (10, 30, 100, 300, 1000)
LIMITS = {
    "one_process_seconds": 0.8,
    "thousand_hosts_seconds": 8.0,
    "thousand_hosts_peak_mib": 300,
    "plan_compute_seconds": 5.0,
}
"""What is promised on a quiet machine of two cores; the first and the last for 16 hosts."""
TRIES = 3
"""The best of so many runs counts: what else the machine does only ever adds."""


def bench_inventory(inventory: Inventory, common: list[str], source: str) -> dict[str, Any]:
    """Figures of one inventory (named by `common`, the options of the commands) and of larger ones."""
    figures: dict[str, Any] = {"machines": len(inventory.hosts)}
    checked = _best("validate", *common)
    rendered = _best("render", *common, "-s", source)
    figures["validate_seconds"], figures["render_seconds"] = checked.seconds, rendered.seconds
    figures["one_process_seconds"] = _best("validate", *common, "render", *common, "-s", source).seconds
    figures["plan_compute_seconds"] = round(plan_seconds(inventory), 3)
    sizes = _sizes(source)
    figures["sizes"] = sizes
    figures["fit"] = fit([row["hosts"] for row in sizes], [row["cpu_seconds"] for row in sizes])
    figures["thousand_hosts_seconds"] = sizes[-1]["seconds"]
    figures["thousand_hosts_peak_mib"] = sizes[-1]["peak_mib"]
    figures["limits"] = LIMITS
    return figures


def _best(*arguments: str) -> Cost:
    return min((measured(*arguments) for _ in range(TRIES)), key=lambda cost: cost.seconds)


def _sizes(source: str) -> list[dict[str, Any]]:
    """The cost of each size. All that was written is removed at the end: a file system such as ext4 passes
    over inodes that were freed within the last minutes, and each new file would pay for that search."""
    lab = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            return [_size(hosts, lab, Path(folder, str(hosts)), source) for hosts in SIZES]
        finally:
            shutil.rmtree(ROOT / ".lab" / lab, ignore_errors=True)


def _size(hosts: int, lab: str, folder: Path, source: str) -> dict[str, Any]:
    """Validate and render so many hosts in one process, their host keys made as for a new lab."""
    folder.mkdir()
    path = folder / "hosts.yaml"
    path.write_text(inventory_of(hosts, lab))
    words = ("validate", "-i", str(path), "render", "-i", str(path), "-s", source)
    cost = measured(*words, env={"PLUMBLINE_DATA": str(folder)})
    return {
        "hosts": hosts,
        "seconds": round(cost.seconds, 2),
        "cpu_seconds": round(cost.cpu_seconds, 2),
        "peak_mib": cost.peak_mib,
    }


def inventory_of(hosts: int, lab: str) -> str:
    """The text of an inventory of so many machines: one balancer, three masters, workers."""
    first = int(IPv4Address("10.64.1.0"))
    workers = (f"worker-{number}" for number in range(1, hosts - 3))
    machines = ["haproxy", *(f"master-{number}" for number in range(1, 4)), *workers]
    roles = {"haproxy": "load-balancer", "master": "control-plane", "worker": "worker"}
    data = {
        "lab": lab,
        # nothing limits how many machines exist
        "provider": next(name for name in names() if not rules_of(name).makes),
        "network": {"lan": "10.64.0.0/16", "gateway": "10.64.0.1"},
        "kubernetes": {"pod_subnet": "10.128.0.0/12", "service_subnet": "10.96.0.0/12"},
        "metallb": {"pools": [{"name": "default", "addresses": ["10.64.255.1-10.64.255.100"]}]},
        "hosts": {
            name: {
                "role": roles[name.partition("-")[0]],
                "address": str(IPv4Address(first + number)),
                "cpus": 4,
                "memory_gib": 8,
            }
            | ({"labels": {"example.com/rack": f"rack-{number % 7}"}} if name != "haproxy" else {})
            for number, name in enumerate(machines)
        },
    }
    text: str = yaml.safe_dump(data, sort_keys=False)
    return text


def fit(hosts: list[int], seconds: list[float]) -> dict[str, Any]:
    """The straight line through the points, how well it fits, and what a further host costs at each size."""
    line = statistics.linear_regression(hosts, seconds)
    points = list(zip(hosts, seconds, strict=True))
    steps = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(points)]
    return {
        "cpu_seconds": f"{line.intercept:.2f} + {line.slope:.5f} * hosts",
        "r_squared": round(statistics.correlation(hosts, seconds) ** 2, 4),
        "ms_per_further_host": [round(1000 * step, 2) for step in steps],
    }


def plan_seconds(inventory: Inventory) -> float:
    """What `plan` computes once it has looked: bundles, and each compared with an empty and a right host."""
    begun, images, traits = time.monotonic(), pins(inventory), traits_of(inventory)
    for name in inventory.hosts:
        wanted = bundle(inventory, traits[name], images, name)
        compare(wanted, seen(wanted, right=False))
        compare(wanted, seen(wanted, right=True))
    return time.monotonic() - begun


def seen(wanted: Bundle, *, right: bool) -> HostFacts:
    """Facts of a host that is as wanted, or of one on which nothing has been done."""
    texts = {file.path: (file.text, file.mode, file.owner) for file in wanted.files}
    if wanted.kubelet:
        texts[KUBELET_CONFIG] = (yaml.safe_dump(wanted.kubelet), "0644", "root:root")
    unit = HeldUnit(
        active="active" if right else "inactive",
        enabled="enabled" if right else "",
    )
    return HostFacts(
        files={
            path: HeldFile(text=base64.b64encode(text.encode()).decode(), mode=mode, owner=owner)
            if right
            else None
            for path, (text, mode, owner) in texts.items()
        },
        sysctls={name: value if right else None for name, value in wanted.sysctls.items()},
        units=dict.fromkeys((*(unit.name for unit in wanted.units), f"{UNIT}.service"), unit),
        exists=dict.fromkeys(EVIDENCE, right),
    )
