"""What would be in force after the next boot, computed from the files that act then (P1-13)."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch

from lab.checks import drop_ins, next_network
from lab.checks.verbs import nothing
from lab.hosts.survey import FolderFile, HostSurvey, MountLine
from lab.hosts.units import KUBELET_FLAGS
from lab.inventory.models import Inventory
from lab.render.bundle import Bundle
from lab.render.cloudinit import COMMAND_LINE
from lab.render.detected import CRI_SOCKET

HOST_NAME, UFW = "/etc/hostname", "/etc/ufw/ufw.conf"
KUBELET_DEFAULTS = "/etc/default/kubelet"
TARGETS = ("multi-user.target", "graphical.target")
"""What a server boots into; others leave sshd or the network out."""
LOADERS = ("systemd-sysctl.service", "systemd-modules-load.service")
UNTIL_THEN = ("enabled-runtime", "linked-runtime", "masked", "masked-runtime")
"""States of a unit's file with which it does not start at the next boot, whatever runs now."""
RIVALS = (
    *("firewalld.service", "netfilter-persistent.service"),
    *("k3s*.service", "rke2-*.service", "snap.microk8s.*", "dphys-swapfile.service", "zramswap.service"),
)
"""Units that replace packet filters, run another cluster or switch swap on when they start."""
DATA = ("/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubelet", "/var/lib/containerd", "/opt/cni")
_FLAGS = re.compile(r"^KUBELET_(?:KUBEADM|EXTRA)_ARGS=(.*)$", re.MULTILINE)
_ENVIRONMENT = re.compile(r'^Environment="KUBELET_\w+_ARGS=(.*)"$', re.MULTILINE)


def asked() -> list[str]:
    """The files that are to be asked of a host, beside those of its folders."""
    return [HOST_NAME, UFW, KUBELET_FLAGS, COMMAND_LINE, KUBELET_DEFAULTS, *next_network.FILES]


def brings_the_same(inventory: Inventory, bundle: Bundle, survey: HostSurvey) -> None:
    """After a boot all would be as declared. Raises `Mismatch` with what would not."""
    entries = survey.entries
    texts = {entry.path: entry.text for entry in entries}
    wrong = [
        *_sysctls(bundle, entries),
        *_modules(bundle, entries),
        *_units(bundle, survey, texts),
        *_fstab(inventory, survey),
        *(_kubelet(inventory, bundle, survey, texts) if bundle.kubelet else ()),
        *next_network.trouble(inventory, survey.host, entries),
    ]
    if HOST_NAME in texts and texts[HOST_NAME].strip() != survey.host:
        wrong.append(f"{HOST_NAME}: the machine will be called {texts[HOST_NAME].strip()}, not {survey.host}")
    options = texts.get(COMMAND_LINE, "").split("\n")[0].split()
    lost = [option for option in bundle.kernel_options if COMMAND_LINE in texts and option not in options]
    wrong += [f"{COMMAND_LINE}: the kernel starts without {option}" for option in lost]
    command = "invoke plan; systemd-analyze cat-config sysctl.d; cat /etc/fstab; systemctl list-unit-files"
    nothing("after the next boot", wrong, rule="all as declared", command=command, host=survey.host)


def sysctls(entries: Iterable[FolderFile]) -> dict[str, tuple[str, str]]:
    """Value and file of each sysctl (name or pattern) that is set at boot; the later counts (sysctl.d(5))."""
    found: dict[str, tuple[str, str]] = {}
    for entry in drop_ins.in_order(entries, "sysctl.d"):
        for line in entry.text.splitlines():
            key, equals, value = line.partition("=")
            name = _dotted(key.strip().removeprefix("-"))
            if equals and line.strip()[:1] not in ("#", ";"):
                found.pop(name, None)
                found[name] = (" ".join(value.split()), entry.path)
    return found


def _dotted(name: str) -> str:
    """A sysctl's name with dots; with a slash first, dots and slashes stand for each other."""
    separators = [sign for sign in name if sign in "./"]
    return name.translate(str.maketrans("./", "/.")) if separators[:1] == ["/"] else name


def _set_at_boot(name: str, found: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """What a sysctl will be, and by which file: a name goes before patterns."""
    if name in found:
        return found[name]
    patterns = [said for pattern, said in found.items() if fnmatch(name, pattern)]
    return patterns[-1] if patterns else ("nothing", "no file")


def _sysctls(bundle: Bundle, entries: Iterable[FolderFile]) -> Iterator[str]:
    found = sysctls(entries)
    for name, value in bundle.sysctls.items():
        said, path = _set_at_boot(name, found)
        if said != " ".join(value.split()):
            yield f"sysctl {name}: {said} by {path}, not {value}"


def _modules(bundle: Bundle, entries: Iterable[FolderFile]) -> Iterator[str]:
    """Modules that no file loads, or that a file of modprobe bars (modprobe.d(5))."""
    listed = list(entries)
    loads = [line.strip() for entry in drop_ins.in_order(listed, "modules-load.d") for line in _lines(entry)]
    barred = {
        words[1].replace("-", "_"): entry.path
        for entry in drop_ins.in_order(listed, "modprobe.d")
        for words in (line.split() for line in _lines(entry))
        if words[0] == "blacklist" or (words[0] == "install" and words[-1].endswith(("/true", "/false")))
        if len(words) > 1
    }
    for name in bundle.modules:
        if name not in loads:
            yield f"module {name}: no file of modules-load.d loads it"
        if name.replace("-", "_") in barred:
            yield f"module {name}: barred by {barred[name.replace('-', '_')]}"


def _lines(entry: FolderFile) -> list[str]:
    return [line for line in entry.text.splitlines() if line.strip() and line.strip()[0] not in "#;"]


def _units(bundle: Bundle, survey: HostSurvey, texts: Mapping[str, str]) -> Iterator[str]:
    if survey.boot.target not in TARGETS:
        yield f"systemd starts {survey.boot.target}, not {TARGETS[0]}"
    wanted = {*(unit.name for unit in bundle.units), *LOADERS}
    for unit in survey.units:
        if unit.name in wanted and unit.enabled in UNTIL_THEN:
            yield f"{unit.name}: {unit.enabled}, so it does not start"
        if unit.enabled == "enabled" and any(fnmatch(unit.name, rival) for rival in RIVALS):
            yield f"{unit.name}: is enabled; it replaces packet filters, makes swap or is another cluster"
        if unit.enabled == "enabled" and unit.name.endswith(".swap") and bundle.kubelet:
            yield f"{unit.name}: is enabled; a node has no swap"
    if re.search(r"^ENABLED=\"?yes", texts.get(UFW, ""), re.MULTILINE):
        yield f"{UFW}: ENABLED=yes; ufw puts its rules before kube-proxy's"


def _fstab(inventory: Inventory, survey: HostSurvey) -> Iterator[str]:
    mounted = {item.target for item in survey.mounts}
    for line in survey.boot.mounts:
        if "noauto" in line.options:
            continue
        if line.kind == "swap":
            if survey.host in inventory.nodes:
                yield f"/etc/fstab: {line.source} is swap; a node has none"
        elif not line.there and not {"nofail", "x-systemd.automount"} & {*line.options}:
            yield f"/etc/fstab: {line.source} for {line.target} is not there, so the boot stops (no nofail)"
        elif _covers(line, mounted):
            yield f"/etc/fstab: {line.source} will lie over {line.target}, which holds the node's data now"


def _covers(line: MountLine, mounted: Iterable[str]) -> bool:
    return line.target.rstrip("/") in DATA and line.target.rstrip("/") not in mounted


def _kubelet(
    inventory: Inventory, bundle: Bundle, survey: HostSurvey, texts: Mapping[str, str]
) -> Iterator[str]:
    """The kubelet's flags of its next start, against those with which it runs and those that are declared."""
    if KUBELET_FLAGS not in texts:
        return
    held = "".join(texts.get(path, "") + "\n" for path in (KUBELET_FLAGS, KUBELET_DEFAULTS))
    later = [word for part in _FLAGS.findall(held) for word in _words(part)]
    unit = next((file.text for file in bundle.files if file.path.endswith("10-kubeadm.conf")), "")
    later += [word for part in _ENVIRONMENT.findall(unit) for word in part.split()]
    now = list(survey.boot.kubelet[1:])
    if now:
        added, lost = Counter(later) - Counter(now), Counter(now) - Counter(later)
        yield from (f"the kubelet starts with {word}, and runs without" for word in added)
        yield from (f"the kubelet starts without {word}, and runs with it" for word in lost)
    said = dict(word.removeprefix("--").partition("=")[::2] for word in later)
    declared = {"node-ip": inventory.addresses[survey.host], "container-runtime-endpoint": CRI_SOCKET}
    for name, value in declared.items():
        if said.get(name, "") != value and (name in said or name == "node-ip"):
            yield f"{KUBELET_FLAGS}: --{name}={said.get(name, '')}, not {value}"


def _words(value: str) -> list[str]:
    """The words of a variable of an EnvironmentFile=, which may stand in quotes; none of what is no shell."""
    try:
        return [word for part in shlex.split(value) for word in part.split()]
    except ValueError:
        return [value]
