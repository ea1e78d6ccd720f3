"""No client of a lab asks it by the user's proxy, or breaks because there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.artifacts.provide import program
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.inventory import load

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("in_a_lab.py")
NETWORK = """
ip link set lo up
ip address add 10.1.1.50/32 dev lo
ip address add 10.9.9.9/32 dev lo
exec "$@"
"""
ASKED = {
    "Kubernetes client": ["/readyz"],
    "exec by websocket": ["/api/v1/namespaces/space/pods/pod/exec"],
    "health check": ["/health"],
    "kubectl": ["/kubectl"],
    "kubectl in a shell": ["/kubectl-in-a-shell"],
    "requests in a shell": ["/requests"],
    "Locust": ["/locust"],
}


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_c55_every_client_asks_the_lab_itself(scheme: str, tmp_path: Path) -> None:
    kubectl = str(program("kubectl", wanted(load("rehearsal")), arch=host_arch(), say=print))
    apart = ["unshare", "--net", "sh", "-ec", NETWORK, "sh"]
    done = subprocess.run(
        [*apart, sys.executable, str(SCRIPT), str(tmp_path), scheme, kubectl],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen == {"lab": ASKED, "proxy": []}
