"""What the facts program prints on a good machine: a Raspberry Pi 5 with a card of 64 GB, as recorded."""

from __future__ import annotations

import copy
from typing import Any

FIRMWARE = "coherent_pool=1M 8250.nr_uarts=1 cgroup_disable=memory numa_policy=interleave"
"""What the firmware of a Pi 5 prepends (raspberrypi/linux#6980)."""
UBUNTU = "console=serial0,115200 root=LABEL=writable rootfstype=ext4 rootwait fixrtc cgroup_enable=memory"
PI: dict[str, Any] = {
    "system": {
        "machine": "aarch64",
        "os": "ubuntu-24.04",
        "container": "",
        "status": "CapBnd:\t000001ffffffffff\n",
        "kernel": "6.8.0-1015-raspi",
        "hostname": "pi-1",
        "machine_id": "0123456789abcdef0123456789abcdef",
        "product_uuid": "",
        "page_size": 4096,
        "cpus": 4,
        "memory_kib": 8139704,
        "command_line": f"{FIRMWARE} {UBUNTU}",
        "swap": [],
        "cgroup": "cgroup2fs",
        "controllers": ["cpuset", "cpu", "io", "memory", "pids"],
        "clock": 1_790_000_000.5,
    },
    "modules": {"br_netfilter": True, "vxlan": True},
    "default_link": ["eth0"],
    "sockets": [{"protocol": "tcp", "address": "10.1.1.60", "port": 10250, "process": "kubelet"}],
    "links": [
        {
            "name": "eth0",
            "mtu": 1500,
            "mac": "02:00:00:00:00:60",
            "master": "",
            "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
            "addresses": ["10.1.1.60/24"],
        }
    ],
    "disks": {
        "filesystems": {"/": {"total": 62_700_000_000, "used": 4_000_000_000, "free": 56_000_000_000}},
        "etcd_bytes": 0,
    },
}


def recorded(**changes: Any) -> dict[str, Any]:
    """The facts of a good Pi; `system__swap=[...]` changes a key, `files={...}` a section."""
    facts = copy.deepcopy(PI)
    for key, value in changes.items():
        section, _, name = key.partition("__")
        facts[section] = facts[section] | {name: value} if name else value
    return facts
