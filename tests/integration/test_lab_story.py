"""The life of one lab, in order: killed in each phase, finished, changed, broken, mended, removed.

Each test starts from the lab that the one before it left, because a build takes a minute.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from lab.phases.build import PHASES
from tests.integration.conftest import ROOT, Proving

MASTERS = ("master-1", "master-2", "master-3")
NODES = (*MASTERS, "worker-1", "worker-2")
CA = "openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -fingerprint -sha256"


def inits(proving: Proving) -> dict[str, int]:
    """How often `kubeadm init` was run on each master, by its own journal."""
    command = 'journalctl -u plumbline-kubeadm -o cat --no-pager | grep -c "Using Kubernetes version" || true'
    return {name: int(proving.run(name, command).split()[-1]) for name in MASTERS}


def voters(proving: Proving) -> list[str]:
    """Names of the voting members of etcd."""
    told = json.loads(proving.invoke("status", "--json").output)["etcd"]
    assert "learners" not in told
    return sorted(re.findall(r"master-\d", told))


@pytest.mark.parametrize("phase", [name for name, _ in PHASES])
def test_a_build_is_killed_in_each_phase(proving: Proving, phase: str) -> None:
    """The next phase's build starts from whatever this one left."""
    assert proving.kill_in(phase), f"the build ended before it came to {phase}"


def test_the_next_build_finishes_what_the_killed_ones_began(proving: Proving) -> None:
    done = proving.invoke("build")
    assert done.code == 0, done.output
    assert voters(proving) == list(MASTERS)


def test_no_second_cluster_was_ever_founded(proving: Proving) -> None:
    assert sum(inits(proving).values()) == 1, "kubeadm init ran more than once"
    authorities = {name: proving.run(name, CA).strip() for name in NODES}
    assert len(set(authorities.values())) == 1, authorities


def test_a_second_build_changes_nothing_and_says_so(proving: Proving) -> None:
    done = proving.invoke("build")
    assert done.code == 0, done.output
    assert "nothing to change" in done.output
    assert not any(event["changed"] for event in proving.timeline())


def test_drift_is_planned_mended_and_gone(proving: Proving) -> None:
    proving.run("haproxy", 'sed -i "s/timeout connect 2s/timeout connect 9s/" /etc/haproxy/haproxy.cfg')
    planned = proving.invoke("plan")
    assert "-    timeout connect 9s" in planned.output
    assert "+    timeout connect 2s" in planned.output
    assert "reload haproxy" in planned.output
    before = proving.run("haproxy", "systemctl show -P MainPID haproxy").split()[-1]
    assert proving.invoke("build").code == 0
    after = proving.run("haproxy", "systemctl show -P MainPID haproxy").split()[-1]
    assert before == after, "haproxy was restarted where a reload was due"
    assert "nothing to change" in proving.invoke("plan").output


def test_the_lab_is_what_the_inventory_says(proving: Proving) -> None:
    """The whole acceptance suite, the loss of the etcd leader's machine included."""
    done = proving.invoke("verify", seconds=1500)
    assert done.code == 0, done.output


BREAKAGES = {
    "a sysctl is off": (
        "worker-1",
        "sysctl -w net.ipv4.ip_forward=0",
        "sysctl -w net.ipv4.ip_forward=1",
        "L1-08",
    ),
    "a master's kubelet is stopped": (
        "master-2",
        "systemctl stop kubelet",
        "systemctl start kubelet",
        "L1-14",
    ),
    "a rendered file was edited": (
        "worker-2",
        'sed -i "s/SystemdCgroup = true/SystemdCgroup = false/" /etc/containerd/config.toml',
        'sed -i "s/SystemdCgroup = false/SystemdCgroup = true/" /etc/containerd/config.toml',
        "P1-01",
    ),
    "the balancer lost a server": (
        "haproxy",
        "echo disable server kube-apiservers/master-3 | socat - /run/haproxy/admin.sock",
        "echo enable server kube-apiservers/master-3 | socat - /run/haproxy/admin.sock",
        "L1-27",
    ),
    "the pod network's MTU is wrong": (
        "worker-1",
        "ip link set flannel.1 mtu 1400",
        "ip link set flannel.1 mtu 1450",
        "L1-25",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_lab_is_named_by_the_right_check(proving: Proving, breakage: str) -> None:
    host, damage, repair, row = BREAKAGES[breakage]
    proving.run(host, damage)
    try:
        broken = proving.invoke("verify", "--layer", "node")
    finally:
        proving.run(host, repair)
    assert broken.code == 5, broken.output
    named = [line for line in broken.output.splitlines() if re.match(rf"\s+\S*.*{row}", line)]
    assert any(host in line for line in named), broken.output


def test_the_first_master_is_rebuilt_when_it_was_deleted(proving: Proving) -> None:
    before = inits(proving)
    assert proving.invoke("destroy", "--host", "master-1").code == 0
    done = proving.invoke("build")
    assert done.code == 0, done.output
    assert "dead etcd member removed" in done.output
    assert voters(proving) == list(MASTERS)
    assert sum(inits(proving).values()) <= sum(before.values()), "a second cluster was founded"
    assert len({proving.run(name, CA).strip() for name in NODES}) == 1


def test_destroy_leaves_nothing(proving: Proving) -> None:
    done = proving.invoke("destroy")
    assert done.code == 0, done.output
    mine = "plumbline-proving"
    assert (
        mine not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    )
    assert "/plumbline/proving" not in Path("/proc/mounts").read_text()
    assert not Path("/var/lib/plumbline/proving").exists()
    assert not (ROOT / ".lab" / "proving" / "kubeconfig").exists()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "/plumbline/proving" not in processes
    again = proving.invoke("destroy")
    assert (again.code, "nothing to remove" in again.output) == (0, True), again.output
