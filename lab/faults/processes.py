"""Process faults: kill -9, and SIGSTOP until SIGCONT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.addons import AddOn, addons
from lab.faults.kinds import BALANCER, MASTERS, NODES, Kind
from lab.faults.on_host import OnHost, always
from lab.inventory.models import HostRole
from lab.labs import Lab


@dataclass(frozen=True)
class ProcessName:
    """A program by its name in the process table, which the kernel cuts after 15 characters."""

    name: str
    process: str
    roles: tuple[HostRole, ...]
    addon: AddOn | None = None
    """Whose it is, if it is an add-on's."""


@dataclass(frozen=True)
class OfProcess(OnHost):
    """A fault of a program, which a lab without its add-on does not have."""

    addon: AddOn | None = None

    def unavailable(self, lab: Lab, host: str) -> str:
        """The reason, when the lab does not have the add-on."""
        if self.addon and not self.addon.is_part_of(lab.inventory):
            return f"{self.addon.title} is not a part of this lab"
        return super().unavailable(lab, host)


COMPONENTS = (
    ProcessName("etcd", "etcd", MASTERS),
    ProcessName("apiserver", "kube-apiserver", MASTERS),
    ProcessName("scheduler", "kube-scheduler", MASTERS),
    ProcessName("controller-manager", "kube-controller", MASTERS),
    ProcessName("containerd", "containerd", NODES),
    ProcessName("kubelet", "kubelet", NODES),
    ProcessName("kube-proxy", "kube-proxy", NODES),
    *(ProcessName(name, name, NODES, addon) for addon in addons() for name in addon.on_hosts.processes),
    ProcessName("haproxy", "haproxy", BALANCER),
)


def _kinds() -> Iterator[Kind]:
    for item in COMPONENTS:
        yield OfProcess(
            f"kill-{item.name}",
            f"kill -9 of {item.process}",
            item.roles,
            10,
            begin=always(f"pkill -KILL -x {item.process}"),
            addon=item.addon,
        )
    for item in COMPONENTS:
        yield OfProcess(
            f"stop-{item.name}",
            f"SIGSTOP of {item.process}, SIGCONT at the end",
            item.roles,
            30,
            begin=always(f"pkill -STOP -x {item.process}"),
            # a liveness probe may have replaced it by then
            end=always(f"pkill -CONT -x {item.process} || true"),
            addon=item.addon,
        )


KINDS: tuple[Kind, ...] = tuple(_kinds())
