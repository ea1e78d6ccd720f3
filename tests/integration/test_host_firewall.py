"""A machine whose firewall drops what is forwarded (Docker, ufw, firewalld) carries a lab all the same.

The firewall is that of a network namespace of the test's own; this machine's is never touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.local import Completed, run
from tests.soon import SOON

ROOT = Path(__file__).parents[2]
OUTER, LEFT, RIGHT = (f"plumbline-test-{os.getpid()}-{name}" for name in ("host", "left", "right"))
# What Docker sets, and what ufw and firewalld have; none of it may matter.
POLICIES = """
table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }
table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; reject; }; }
"""
MACHINES = ["test_machines_boot_with_their_seed", "test_machines_see_each_other_and_nothing_else"]
SECONDS = 900
SILENCE = 124  # timeout(1)'s own exit code


def inside(*argv: str, space: str = OUTER, check: bool = True) -> Completed:
    return run(["nsenter", f"--net=/run/netns/{space}", *argv], timeout=SOON, check=check)


def knocked(seconds: int) -> Completed:
    """One neighbour asks the other for a port that nobody has, and waits so long for the answer."""
    knock = ("timeout", str(seconds), "bash", "-c", "</dev/tcp/192.0.2.2/9")
    return inside(*knock, space=LEFT, check=False)


@pytest.fixture(scope="module", autouse=True)
def host() -> Iterator[None]:
    """A host's network with a firewall that forwards nothing, and two neighbours on a bridge of its own."""
    try:
        for name in (OUTER, LEFT, RIGHT):
            run(["ip", "netns", "add", name], timeout=SOON)
        inside("ip", "link", "set", "dev", "lo", "up")
        inside("ip", "link", "add", "name", "br0", "type", "bridge")
        inside("ip", "link", "set", "dev", "br0", "up")
        for number, name in enumerate((LEFT, RIGHT), 1):
            port = f"port{number}"
            inside("ip", "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            inside("ip", "link", "set", "dev", port, "master", "br0", "up")
            inside("ip", "address", "add", f"192.0.2.{number}/24", "dev", "eth0", space=name)
            inside("ip", "link", "set", "dev", "eth0", "up", space=name)
        yield
    finally:
        for name in (LEFT, RIGHT, OUTER):
            run(["ip", "netns", "delete", name], timeout=SOON, check=False)


def test_the_firewall_would_cut_a_bridge_of_the_host() -> None:
    """Else the next test would prove nothing."""
    assert "Connection refused" in knocked(60).stderr
    done = subprocess.run(
        ["nsenter", f"--net=/run/netns/{OUTER}", "nft", "-f", "-"], input=POLICIES, text=True, check=True
    )
    assert done.returncode == 0
    assert knocked(5).code == SILENCE


def test_a_lab_beside_that_firewall_is_whole() -> None:
    """Its machines see each other and are reached: their switch is in a namespace of the lab's own."""
    assert "policy drop" in inside("nft", "list", "ruleset").stdout
    names = [f"tests/integration/test_lxc_provider.py::{name}" for name in MACHINES]
    pytest_argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
    done = subprocess.run(
        ["nsenter", f"--net=/run/netns/{OUTER}", *pytest_argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert f"{len(MACHINES)} passed" in done.stdout
    assert "policy drop" in inside("nft", "list", "ruleset").stdout, "the lab has changed the host's firewall"
