"""Runs on a host, sent over SSH to `python3 -c`: everything the node checks want to know, in one round trip.

Standard library only, Python 3.10 or later. Changes nothing. Reads a request as JSON from standard input and
writes one JSON object: a value for each section, or `{"error": text}` for a section that could not be read,
so that one missing program never hides the rest. `facts.py` beside it holds the record of each section.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from lab.hosts.remote_answer import answer

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def said(*command: str) -> str:
    """Standard output of a program; any failure of it is an error of the section."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise OSError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[:300]}")
    return done.stdout


def text(path: str) -> str:
    """A small text file, without the line feed at its end."""
    return Path(path).read_text(errors="replace").strip()


def release(os_release: str) -> str:
    """Name and version of the distribution, as `debian-12`."""
    pairs = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    return "-".join(pairs.get(key, "").strip('"') for key in ("ID", "VERSION_ID"))


def system(_: dict[str, Any]) -> dict[str, Any]:
    """What the machine is."""
    names = os.uname()
    return {
        "machine": names.machine,
        "os": release(text("/etc/os-release")),
        "container": text("/run/systemd/container") if Path("/run/systemd/container").exists() else "",
        "status": text("/proc/self/status"),
        "kernel": names.release,
        "hostname": socket.gethostname(),
        "machine_id": text("/etc/machine-id"),
        "product_uuid": text("/sys/class/dmi/id/product_uuid")
        if os.access("/sys/class/dmi/id/product_uuid", os.R_OK)
        else "",
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "cpus": os.cpu_count(),
        "memory_kib": int(re.search(r"MemTotal:\s+(\d+)", text("/proc/meminfo")).group(1)),  # type: ignore[union-attr]
        "command_line": text("/proc/cmdline"),
        "swap": text("/proc/swaps").splitlines()[1:],
        "cgroup": said("stat", "-f", "-c", "%T", "/sys/fs/cgroup").strip(),
        "controllers": text("/sys/fs/cgroup/cgroup.controllers").split()
        if Path("/sys/fs/cgroup/cgroup.controllers").exists()
        else [],
        "clock": time.time(),
    }


def files(request: dict[str, Any]) -> dict[str, Any]:
    """Digest, mode and owner of files, and of all that match `owned`; None for one that does not exist."""
    found = [path for pattern in request["owned"] for path in map(str, Path("/").glob(pattern[1:]))]
    return {path: one_file(Path(path)) for path in sorted({*request["files"], *found})}


def one_file(path: Path) -> dict[str, Any] | None:
    """One file; a file that may not be read is an error, never a missing one."""
    if not path.exists():
        return None
    state = path.stat()
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return {
        "sha256": digest,
        "mode": f"0{state.st_mode & 0o7777:o}",
        "owner": f"{path.owner()}:{path.group()}",
    }


def sysctls(request: dict[str, Any]) -> dict[str, str | None]:
    """Running values; None when the kernel has no such name."""
    found: dict[str, str | None] = {}
    for name in request["sysctls"]:
        path = Path("/proc/sys", name.replace(".", "/"))
        found[name] = " ".join(path.read_text().split()) if path.exists() else None
    return found


def modules(request: dict[str, Any]) -> dict[str, bool]:
    """Whether each module is in the kernel, loaded or built in."""
    return {name: Path("/sys/module", name.replace("-", "_")).exists() for name in request["modules"]}


def units(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """State of systemd units and the seconds for which each has been active."""
    wanted = "Id,ActiveState,SubState,UnitFileState,NRestarts,ActiveEnterTimestampMonotonic"
    output = said("systemctl", "show", f"--property={wanted}", *request["units"])
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    found = {}
    for name, block in zip(request["units"], output.strip().split("\n\n"), strict=True):
        state = dict(line.split("=", 1) for line in block.splitlines())
        since = int(state.pop("ActiveEnterTimestampMonotonic") or 0) / 1e6
        found[name] = {
            "active": state["ActiveState"],
            "sub": state["SubState"],
            "enabled": state["UnitFileState"],
            # of services alone
            "restarts": int(state.get("NRestarts") or 0),
            "active_seconds": round(now - since, 1) if since else 0.0,
        }
    return found


def sockets(_: dict[str, Any]) -> list[dict[str, Any]]:
    """Every listening TCP and bound UDP socket."""
    found = []
    for line in said("ss", "-Hlntup").splitlines():
        parts = line.split()
        address, _colon, port = parts[4].rpartition(":")
        process = re.search(r'\(\("([^"]+)"', line)
        found.append(
            {
                "protocol": parts[0],
                "address": address.strip("[]").partition("%")[0],
                "port": int(port),
                "process": process.group(1) if process else "",
            }
        )
    return found


def links(_: dict[str, Any]) -> list[dict[str, Any]]:
    """Network interfaces: name, MTU, MAC, master, addresses, state."""
    return [
        {
            "name": link["ifname"],
            "mtu": link["mtu"],
            "mac": link.get("address", ""),
            "master": link.get("master", ""),
            "flags": link["flags"],
            "addresses": [f"{item['local']}/{item['prefixlen']}" for item in link["addr_info"]],
        }
        for link in json.loads(said("ip", "-j", "address", "show"))
    ]


def default_link(_: dict[str, Any]) -> list[str]:
    """Interfaces of the default routes."""
    return [route["dev"] for route in json.loads(said("ip", "-j", "-4", "route", "show", "default"))]


def versions(request: dict[str, Any]) -> dict[str, str]:
    """What each program says about its version; "" for one that is not installed."""
    found = {}
    for program, arguments in request["versions"].items():
        path = shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        found[program] = said(path, *arguments).strip() if path else ""
    return found


def packages(request: dict[str, Any]) -> dict[str, str]:
    """Status of Debian packages; "" for one that dpkg does not know."""
    found = dict.fromkeys(request["packages"], "")
    output = said("dpkg-query", "-W", "-f", "${Package}\t${db:Status-Abbrev}\n")
    for line in output.splitlines():
        name, _tab, status = line.partition("\t")
        if name in found:
            found[name] = status.strip()
    return found


def texts(request: dict[str, Any]) -> dict[str, str | None]:
    """Small configuration files by path, None for a missing one."""
    return {path: text(path) if Path(path).exists() else None for path in request["texts"]}


def runtime(_: dict[str, Any]) -> dict[str, Any]:
    """containerd's running configuration, as it tells it over CRI."""
    answer: dict[str, Any] = json.loads(said("crictl", "info"))
    config = answer["config"]
    return {
        "systemd_cgroup": config["containerd"]["runtimes"]["runc"]["options"].get("SystemdCgroup", False),
        "sandbox_image": config.get("sandboxImage", ""),
        "config": config,
    }


def certificates(_: dict[str, Any]) -> dict[str, str]:
    """PEM certificates of the node by the file they lie in; keys never leave the host.

    The kubelet renews its client's certificate by itself, and never the one that it serves.
    """
    found = {}
    root, own = Path("/etc/kubernetes/pki"), Path("/var/lib/kubelet/pki")
    kubelets = [path for path in (own / "kubelet-client-current.pem", own / "kubelet.crt") if path.exists()]
    for path in [*sorted(root.rglob("*.crt")), *kubelets]:
        blocks = CERTIFICATE.findall(path.read_text())
        if blocks:
            found[str(path)] = blocks[0]
    for path in sorted(Path("/etc/kubernetes").glob("*.conf")):
        held = re.search(r"client-certificate-data:\s*(\S+)", path.read_text())
        if held:
            found[str(path)] = held.group(1)
    return found


def manifests(_: dict[str, Any]) -> dict[str, str]:
    """Static pod manifests by file name."""
    return {path.name: path.read_text() for path in sorted(Path("/etc/kubernetes/manifests").glob("*.yaml"))}


def disks(_: dict[str, Any]) -> dict[str, Any]:
    """Use of the filesystems that matter, in bytes, and the size of etcd's database."""
    found = {}
    for path in ("/", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd"):
        if Path(path).exists():
            usage = shutil.disk_usage(path)
            found[path] = {"total": usage.total, "used": usage.used, "free": usage.free}
    database = Path("/var/lib/etcd/member/snap/db")
    return {"filesystems": found, "etcd_bytes": database.stat().st_size if database.exists() else 0}


def clock(_: dict[str, Any]) -> dict[str, Any]:
    """Time synchronisation as chrony tells it."""
    fields = said("chronyc", "-c", "tracking").strip().split(",")
    return {"offset_seconds": float(fields[4]), "leap": fields[-1]}


SECTIONS = (
    system,
    files,
    sysctls,
    modules,
    units,
    sockets,
    links,
    default_link,
    versions,
    packages,
    texts,
    runtime,
    certificates,
    manifests,
    disks,
    clock,
)


if __name__ == "__main__":
    answer(SECTIONS)
