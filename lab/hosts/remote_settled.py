"""Runs on a master, sent over SSH to `python3 -c`: what its control plane was started with.

Standard library only, Python 3.10 or later. Changes nothing. Reads a request as JSON from standard input,
writes one JSON object.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import sys
import urllib.error
import urllib.request
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
    asked = {"kube-apiserver": f"{port}/readyz", "kube-controller-manager": f"{controllers}/healthz"}
    context = ssl._create_unverified_context()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    found = {}
    for name, path in asked.items():
        try:
            with opener.open(f"https://127.0.0.1:{path}", timeout=5) as answer:
                found[name] = answer.status == 200
        except (OSError, urllib.error.URLError):
            found[name] = False
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


def main() -> None:
    """Answer the request."""
    request = json.load(sys.stdin)
    processes = running()
    port = port_of(processes)
    answer = {
        "joined": Path(request["joined"]).exists(),
        "running": processes,
        "manifests": {path.name: text(path) for path in sorted(MANIFESTS.glob("*"))},
        "served": served(port),
        "healthy": healthy(port, request["controllers"]),
        "certificate": text(CERTIFICATE),
        "documents": documents(port, request["documents"]) if request["documents"] else None,
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
