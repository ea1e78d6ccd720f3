"""What listens, is mounted or started on a machine and was declared by nobody (P1-15)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from lab.checks import undeclared_network
from lab.checks.patterns import among
from lab.checks.verbs import nothing
from lab.cluster.kubeadm import UNIT
from lab.hosts.survey import BoundSocket, HostSurvey, Mounted, SurveyedUnit
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import Bundle

OWN_BUSINESS = {
    "containerd": ("tcp", None),
    "sshd": ("tcp", None),
    "systemd-resolve": (None, 53),
    "chronyd": ("udp", 323),
}
"""Programs of ours that listen on loopback by themselves: protocol and port, None for any (containerd's
stream server, sshd's forwarded ports, systemd-resolved's stub, chronyd's commands)."""
DHCP_CLIENT = (68, 546)
KERNELS = ("/proc/**/*", "/sys/**/*", "/dev/**/*", "/run/**/*", "/proc", "/sys", "/dev", "/run", "/", "/tmp")
"""Where a system mounts by itself; containerd's and the network namespaces' are below /run."""
OF_NODES = (
    *("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd"),
    *("/var/lib/kubelet/pods/**/*", "/var/lib/kubelet/plugins/**/*", "/var/lib/containerd/**/*"),
)
PLATFORM = (
    "/{etc/kubernetes,etc/cni,etc/containerd,etc/haproxy,etc/ssh,etc/systemd,opt/cni,usr/local/bin}{,/**/*}"
)
GENERATED = (
    "/run/systemd/generator{,.early,.late}/**/*",
    "/run/systemd/transient/{plumbline,user,session}-*",
)
DROP_INS = (
    *(*GENERATED, "/run/systemd/system/**/*netplan*", "/run/systemd/system/service.d/zzz-*.conf"),
    *("/etc/systemd/system/ssh.service.d/00-socket.conf", "/run/systemd/system/*.d/*cloud-init*"),
)
"""Parts of units that generators, netplan, LXC's own generator and Ubuntu's openssh-server write."""


def is_nowhere(inventory: Inventory, bundle: Bundle, traits: Traits, survey: HostSurvey) -> None:
    """Nothing is there that nobody declared. Raises `Mismatch` with all that is.

    On a machine that is not of our making, sockets, links, mounts and units are its owner's, as long as they
    leave the platform's addresses, routes, folders and units alone.
    """
    wrong = [
        *_sockets(bundle, survey.sockets, strict=traits.layered),
        *undeclared_network.trouble(inventory, bundle, traits, survey),
        *_mounts(bundle, survey.mounts, strict=traits.layered),
        *_units(bundle, survey.units, strict=traits.layered),
    ]
    command = "ss -lntup; ip route show table all; ip rule; findmnt; systemctl list-units --all"
    nothing("what nobody declared", wrong, rule="nothing", command=command, host=survey.host)


def _sockets(bundle: Bundle, sockets: Iterable[BoundSocket], *, strict: bool) -> Iterator[str]:
    for item in sockets:
        declared = [
            port for port in bundle.listen if (port.protocol, port.port) == (item.protocol, item.port)
        ]
        where = f"{item.protocol} {item.address}:{item.port} ({item.process or 'the kernel'})"
        if declared:
            if not any(port.takes(item.address) for port in declared):
                places = " and ".join(port.only_at or "loopback" for port in declared)
                yield f"{where}: listens beyond the machine itself; it is declared for {places} alone"
        elif strict and not item.pod and not _of_its_own(item):
            unit = f", unit {item.unit}" if item.unit else ""
            yield f"{where}: listens, and no role declares that port{unit}"


def _is_loopback(address: str) -> bool:
    return address not in ("*", "") and ip_address(address).is_loopback


def _of_its_own(item: BoundSocket) -> bool:
    if item.protocol == "udp" and item.port in DHCP_CLIENT and item.process.startswith(("systemd-n", "dhc")):
        return True
    protocol, port = OWN_BUSINESS.get(item.process, ("", 0))
    fits = protocol in (None, item.protocol) and port in (None, item.port)
    return fits and _is_loopback(item.address)


def _mounts(bundle: Bundle, mounts: Iterable[Mounted], *, strict: bool) -> Iterator[str]:
    files = {file.path for file in bundle.files} | {item.path for item in bundle.binaries}
    listed = list(mounts)
    times = Counter(item.target for item in listed)
    for item in listed:
        what = f"{item.source} ({item.kind}) on {item.target}"
        if item.target in files or among(item.target, (PLATFORM,)):
            yield f"mount {what}: covers what the platform has there"
        elif bundle.kubelet and among(item.target, OF_NODES):
            if times[item.target] > 1 and item.target in OF_NODES:
                yield f"mount {what}: {times[item.target]} lie there, one over the other"
        elif strict and not among(item.target, KERNELS):
            yield f"mount {what}: nobody declared it"


def _units(bundle: Bundle, units: Iterable[SurveyedUnit], *, strict: bool) -> Iterator[str]:
    files = {file.path for file in bundle.files}
    ours = {unit.name for unit in bundle.units}
    for unit in units:
        parts = [path for path in unit.drop_ins if path not in files and not among(path, DROP_INS)]
        if unit.name in ours:
            yield from (f"unit {unit.name}: takes {path}, which nobody declared" for path in parts)
        known = unit.package or unit.file in files or among(unit.file, GENERATED)
        acts = unit.active in ("active", "activating", "failed") or unit.enabled == "enabled"
        if strict and acts and unit.file and not known and not unit.name.startswith(UNIT):
            how = "started by hand" if unit.transient else f"of {unit.file}"
            yield f"unit {unit.name}: {how}, {unit.active}; no role and no package has it"
