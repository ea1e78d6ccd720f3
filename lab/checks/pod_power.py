"""What pods of others can do to the machines that they run on (P2-15)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from lab.checks.declared import Declared
from lab.checks.platform import ENDED
from lab.cluster.discovery import Resource
from lab.objects import Object

PODS = Resource("", "v1", "Pod", "pods", True)
VOLUMES = Resource("", "v1", "PersistentVolume", "persistentvolumes", False)
STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""What kubeadm lets the kubelets of masters start from files (phases/controlplane, phases/etcd)."""
MIRROR = "kubernetes.io/config.mirror"
CRITICAL = 2_000_000_000
"""Priorities from here on are the system's own (scheduling.SystemCriticalPriority): all others make room."""
AS_ROOT = frozenset(
    {"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYS_PTRACE", "DAC_READ_SEARCH", "BPF"}
)
"""Capabilities that lead out of a container (capabilities(7))."""
SECRETS = (
    "/etc/kubernetes",
    "/etc/ssh",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/root",
    "/home",
    "/run",
    "/var/run",
    "/proc",
    "/dev",
)
"""Folders of a machine from which reading is enough: keys, sockets, others' processes and disks."""
SYSTEM = (
    "/etc",
    "/usr",
    "/lib",
    "/bin",
    "/sbin",
    "/boot",
    "/sys",
    "/opt/cni",
    "/usr/local",
    "/var/lib/containerd",
    "/var/lib/plumbline",
    "/var/log",
    "/var/spool",
)
"""Folders in which whoever writes decides what the machine does, or what is known of it afterwards."""
HARMLESS = ("/run/udev", "/dev/null", "/dev/fuse", "/dev/dri", "/dev/net/tun")
"""Below those, and no way to anything of the platform's."""


def over_machines(declared: Declared) -> list[str]:
    """A line for each group of pods of others that can take a machine, or what the platform has on it."""
    checks, masters = declared.of_checks(), declared.driver.inventory.masters
    ports = {
        name: {(one.port, one.protocol.upper()) for one in bundle.listen}
        for name, bundle in declared.driver.bundles.items()
    }
    found: dict[str, list[str]] = {}
    for pod in declared.items(PODS):
        meta, spec = pod["metadata"], pod["spec"]
        if pod.get("status", {}).get("phase") in ENDED or meta["namespace"] in checks:
            continue
        node, name = spec.get("nodeName", ""), f"{meta['namespace']}/{meta['name']}"
        if MIRROR in (meta.get("annotations") or {}):
            if name not in {f"kube-system/{part}-{node}" for part in STATIC if node in masters}:
                found[f"Pod/{name}"] = [
                    f"is started by the kubelet of {node} from a file that no role has there"
                ]
        elif meta["namespace"] in declared.spaces:
            if names := [one["name"] for one in spec.get("ephemeralContainers") or ()]:
                found[f"Pod/{name}"] = [f"somebody has put a container into it ({', '.join(names)})"]
        elif held := [*_powers(spec), *_places(spec, node, masters, ports.get(node, set()))]:
            found.setdefault(f"{_whose(meta)}", []).extend(
                one for one in held if one not in found.get(_whose(meta), ())
            )
    lines = [f"{name}: {'; '.join(held)}" for name, held in found.items()]
    return [*lines, *_volumes(declared)]


def _whose(meta: Object) -> str:
    """The controller of a pod, or the pod itself."""
    owner = next((one for one in meta.get("ownerReferences") or () if one.get("controller")), None)
    kind, name = (owner["kind"], owner["name"]) if owner else ("Pod", meta["name"])
    return f"{kind}/{meta['namespace']}/{name}"


def _powers(spec: Object) -> Iterator[str]:
    """What a pod may do wherever it runs."""
    for field, says in (
        ("hostPID", "sees and ends the machine's processes"),
        ("hostIPC", "shares memory with the machine's processes"),
        ("hostNetwork", "has the machine's own network"),
    ):
        if spec.get(field):
            yield f"{field}: {says}"
    if (spec.get("priority") or 0) >= CRITICAL:
        name = spec.get("priorityClassName") or spec["priority"]
        yield f"priority {name}: pods of the platform make room for it"
    for container in _containers(spec):
        context = container.get("securityContext") or {}
        caps = {
            cap.removeprefix("CAP_") for cap in (context.get("capabilities") or {}).get("add") or ()
        } & AS_ROOT
        if context.get("privileged"):
            yield f"container {container['name']} is privileged: it is root of its machine"
        elif caps:
            held = ", ".join(sorted(caps))
            yield f"container {container['name']} has {held}: it is as good as root of its machine"
    for volume in spec.get("volumes") or ():
        if "hostPath" in volume:
            path = volume["hostPath"]["path"]
            mounts = [
                one
                for item in _containers(spec)
                for one in item.get("volumeMounts") or ()
                if one["name"] == volume["name"]
            ]
            if why := of_platform(path, writes=any(not one.get("readOnly") for one in mounts)):
                yield f"hostPath {path}: {why}"


def _places(
    spec: Object, node: str, masters: Collection[str], ports: Collection[tuple[int, str]]
) -> Iterator[str]:
    """What a pod takes on the machine that it runs on."""
    for container in _containers(spec):
        for port in container.get("ports") or ():
            where = (port.get("hostPort", 0), port.get("protocol", "TCP"))
            if where in ports and not spec.get("hostNetwork"):
                yield f"hostPort {where[0]}/{where[1]}: takes what a role listens on ({node})"
    limits = [(one.get("resources") or {}).get("limits") or {} for one in spec["containers"]]
    if node in masters and not all("memory" in one for one in limits):
        yield f"runs on {node} beside etcd, without a limit of its memory"


def of_platform(path: str, *, writes: bool) -> str:
    """What a folder of a machine gives to whoever has it; "" where it holds nothing of the platform's."""
    own = PurePosixPath(path)
    if any(own.is_relative_to(one) for one in HARMLESS):
        return ""
    if any(own.is_relative_to(one) or PurePosixPath(one).is_relative_to(own) for one in SECRETS):
        return "keys, sockets or disks of the machine lie there"
    if writes and any(own.is_relative_to(one) or PurePosixPath(one).is_relative_to(own) for one in SYSTEM):
        return "writes where the machine's own files lie"
    return ""


def _volumes(declared: Declared) -> Iterator[str]:
    """Volumes of the cluster that are a folder of a machine: pods have it without a hostPath of their own."""
    for name, item in declared.strange(VOLUMES):
        for kind in ("hostPath", "local"):
            path = (item["spec"].get(kind) or {}).get("path", "")
            if path and (why := of_platform(path, writes=True)):
                yield f"{name}: is {path} of a machine ({why})"


def _containers(spec: Object) -> Iterator[Object]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()
