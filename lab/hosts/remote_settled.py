"""Runs on a master, sent over SSH before `remote_look.py` or alone: what its control plane was started with.

Standard library only, Python 3.10 or later. Changes nothing.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

MANIFESTS = Path("/etc/kubernetes/manifests")
PKI = Path("/etc/kubernetes/pki")
CERTIFICATE = PKI / "apiserver.crt"
AUTHORITY = PKI / "ca.crt"
CLIENT = (PKI / "apiserver-kubelet-client.crt", PKI / "apiserver-kubelet-client.key")
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")


def running() -> dict[str, list[list[str]]]:
    """Command lines of the control plane's processes, by program."""
    found: dict[str, list[list[str]]] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            continue  # it has just ended
        program = Path(words[0]).name
        if program in COMPONENTS:
            found.setdefault(program, []).append(words)
    return found


def port_of(processes: dict[str, list[list[str]]]) -> int:
    """The port of the API server that runs, as kubeadm tells it; 0, where nobody answers, while none does."""
    flags = " ".join(word for line in processes.get("kube-apiserver", []) for word in line)
    port = re.search(r"--secure-port=(\d+)", flags)
    return int(port.group(1)) if port else 0


def served(port: int) -> str:
    """The certificate that the API server serves right now, "" for none."""
    try:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    except (OSError, ValueError):
        return ""


def healthy(port: int, controllers: int) -> dict[str, bool]:
    """Whether the API server is ready and the controller manager well, asked on this machine alone."""
    asked = {"kube-apiserver": (port, "/readyz"), "kube-controller-manager": (controllers, "/healthz")}
    found = {}
    for name, (number, path) in asked.items():
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", number, timeout=5, context=context)
        try:
            connection.request("GET", path)
            found[name] = connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            found[name] = False
        finally:
            connection.close()
    return found


def documents(port: int, paths: list[str]) -> dict[str, Any] | None:
    """What this master's own API server holds; None when it does not answer."""
    found: dict[str, Any] = {}
    try:
        context = ssl.create_default_context(cafile=str(AUTHORITY))
        # kubeadm gives it the rights of its administrators, which kubectl would need three processes for
        context.load_cert_chain(*map(str, CLIENT))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        # a name that kubeadm always writes: the certificate may lack 127.0.0.1
        connection.sock = context.wrap_socket(plain, server_hostname="kubernetes")
        for path in paths:
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                return None
            found[path] = json.loads(text)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return found


def text(path: Path) -> str:
    """A file's text; "" when there is none."""
    return path.read_text(errors="replace") if path.exists() else ""


def control_plane(request: dict[str, Any]) -> dict[str, Any]:
    """What `MasterAnswer` holds; `documents` are the paths of objects that are asked for."""
    processes = running()
    port = port_of(processes)
    certificate = served(port)
    # who does not answer once is not asked for more: the whole look has a deadline
    well = healthy(port if certificate else 0, request["controllers"])
    asked = request["documents"] if well["kube-apiserver"] else ()
    return {
        "joined": Path(request["joined"]).exists(),
        "running": processes,
        "manifests": {path.name: text(path) for path in sorted(MANIFESTS.glob("*"))},
        "served": certificate,
        "healthy": well,
        "certificate": text(CERTIFICATE),
        "documents": documents(port, asked) if asked else None,
    }


if __name__ == "__main__":
    json.dump(control_plane(json.load(sys.stdin)), sys.stdout)
