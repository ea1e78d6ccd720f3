"""Pressure on a worker: a greedy program in a bounded cgroup, which must hurt itself and nobody else."""

from __future__ import annotations

from lab.faults.kinds import WORKERS, Kind
from lab.faults.on_host import OnHost, always

UNIT = "plumbline-greedy"
MEMORY_MIB = 256
TASKS = 500


def _greedy(name: str, meaning: str, limits: str, program: str) -> Kind:
    return OnHost(
        name,
        meaning,
        WORKERS,
        60,
        begin=always(f"systemd-run --quiet --collect --unit {UNIT} {limits} sh -c '{program}'"),
        end=always(f"systemctl stop {UNIT} 2>/dev/null; systemctl reset-failed {UNIT} 2>/dev/null; true"),
    )


KINDS: tuple[Kind, ...] = (
    _greedy(
        "memory-pressure",
        f"a program that takes all it gets, in a cgroup of {MEMORY_MIB} MiB: killed and started again",
        f"-p MemoryMax={MEMORY_MIB}M -p Restart=always -p RestartSec=0.2 -p StartLimitIntervalSec=0",
        # the second bound holds also where the memory controller is not handed to this machine
        f"ulimit -v {2 * MEMORY_MIB * 1024}; exec tail /dev/zero",
    ),
    _greedy(
        "pid-pressure",
        f"{TASKS} processes more",
        f"-p TasksMax={TASKS + 50}",
        f"for i in $(seq {TASKS}); do sleep infinity & done; wait",
    ),
    _greedy("cpu-pressure", "a busy loop of one core", "-p CPUQuota=100%", "while :; do :; done"),
)
