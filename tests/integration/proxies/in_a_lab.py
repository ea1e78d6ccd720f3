"""Runs in a network namespace of its own: every client of a lab, with a user's proxies in the environment.

Prints as JSON what each client's own server was asked, and what the proxy was asked in the end. The server
and the proxy are both at addresses that a client would not pass over by itself, as loopback ones are.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.integration.proxies.recorder import recorder

ADDRESS = "10.1.1.50"
NAME = "rehearsal.internal"
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://%s:6443", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: any}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""
asked: list[str] = []


class Lab(BaseHTTPRequestHandler):
    """Answers as API server and as echo server alike."""

    def do_GET(self) -> None:
        asked.append(self.path.partition("?")[0])
        body = b'{"pod": "app-1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Nothing on the screen."""


def serve(port: int, tls: ssl.SSLContext) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer((ADDRESS, port), Lab)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def main(folder: Path, proxy: str, kubectl: str) -> dict[str, list[str]]:
    """What each client asked of the lab, by the name of the client."""
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        os.environ[name] = proxy
    # all of these import lab, which takes them out of the environment
    from lab import proxies
    from lab.authority import Authority
    from lab.checks.cluster import Cluster
    from lab.checks.outcomes import CouldNotTell
    from lab.checks.outside import http_get
    from lab.cluster.api import Api
    from lab.commands.reaching import own_addresses
    from lab.inventory import load
    from lab.inventory.sections import LoadProfile
    from lab.load.generator import LoadTarget, generate
    from tests.soon import SOON

    authority = Authority(folder / "ca", NAME)
    leaf = authority.issue()
    (folder / "leaf.pem").write_text(leaf.certificate + leaf.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "leaf.pem")
    trusting = ssl.create_default_context(cafile=authority.certificate_file)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG % ADDRESS)
    shell = {**proxies.beside(own_addresses(load("rehearsal"))), "KUBECONFIG": str(kubeconfig)}
    raw = [kubectl, "get", "--raw"]
    url = f"https://{ADDRESS}:6443/requests"
    python = [sys.executable, "-c", f"import requests; requests.get({url!r}, verify=False, timeout={SOON:g})"]

    def stream() -> None:
        with suppress(CouldNotTell):  # our server speaks no websocket; what counts is that it was asked
            Cluster(kubeconfig).execute("space", "pod", ["true"])

    def locust() -> None:
        profile = LoadProfile(users=1, spawn_rate=1, seconds=5, pause_seconds=0.5)
        target = LoadTarget(ADDRESS, authority.certificate_file, {f"https://{NAME}/locust": "app"})
        generate(target, profile, folder / "load")

    def run(argv: list[str], environment: dict[str, str]) -> None:
        done = subprocess.run(
            argv, env=environment, check=False, capture_output=True, text=True, timeout=SOON
        )
        assert done.returncode == 0, done.stderr

    clients: dict[str, Callable[[], object]] = {
        "Kubernetes client": lambda: Api(kubeconfig).ready(),
        "exec by websocket": stream,
        "health check": lambda: http_get(ADDRESS, 443, "/health", tls=trusting, name=NAME),
        "kubectl": lambda: run([*raw, "/kubectl"], {**os.environ, "KUBECONFIG": str(kubeconfig)}),
        "kubectl in a shell": lambda: run([*raw, "/kubectl-in-a-shell"], shell),
        "requests in a shell": lambda: run(python, shell),
        "Locust": locust,
    }
    seen = {}
    servers = [serve(443, tls), serve(6443, tls)]
    for name, ask in clients.items():
        asked.clear()
        ask()
        seen[name] = sorted(set(asked))
    for server in servers:
        server.shutdown()
    return seen


if __name__ == "__main__":
    with recorder("10.9.9.9") as proxy:
        seen = main(Path(sys.argv[1]), f"{sys.argv[2]}://{proxy.place}", sys.argv[3])
        print(json.dumps({"lab": seen, "proxy": proxy.asked}))
