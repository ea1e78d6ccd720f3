"""Process faults: kill -9, and SIGSTOP until SIGCONT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.addons import addons
from lab.faults.kinds import BALANCER, MASTERS, NODES, Kind
from lab.faults.on_host import OnHost, always
from lab.inventory.models import HostRole


@dataclass(frozen=True)
class ProcessName:
    """A program by its name in the process table, which the kernel cuts after 15 characters."""

    name: str
    process: str
    roles: tuple[HostRole, ...]


COMPONENTS = (
    ProcessName("etcd", "etcd", MASTERS),
    ProcessName("apiserver", "kube-apiserver", MASTERS),
    ProcessName("scheduler", "kube-scheduler", MASTERS),
    ProcessName("controller-manager", "kube-controller", MASTERS),
    ProcessName("containerd", "containerd", NODES),
    ProcessName("kubelet", "kubelet", NODES),
    ProcessName("kube-proxy", "kube-proxy", NODES),
    *(ProcessName(name, name, NODES) for addon in addons() for name in addon.on_hosts.processes),
    ProcessName("haproxy", "haproxy", BALANCER),
)


def _kinds() -> Iterator[Kind]:
    for item in COMPONENTS:
        yield OnHost(
            f"kill-{item.name}",
            f"kill -9 of {item.process}",
            item.roles,
            10,
            begin=always(f"pkill -KILL -x {item.process}"),
        )
    for item in COMPONENTS:
        yield OnHost(
            f"stop-{item.name}",
            f"SIGSTOP of {item.process}, SIGCONT at the end",
            item.roles,
            30,
            begin=always(f"pkill -STOP -x {item.process}"),
            # a liveness probe may have replaced it by then
            end=always(f"pkill -CONT -x {item.process} || true"),
        )


KINDS: tuple[Kind, ...] = tuple(_kinds())
