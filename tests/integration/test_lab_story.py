"""The life of one lab, in order: killed in each phase, finished, changed, broken, mended, removed.

Each test starts from the lab that the one before it left, because a build takes a minute.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from lab.commands.operating import SOMETHING_TO_DO
from lab.errors import AcceptanceError
from lab.inventory import load
from lab.labs import Lab
from lab.selftest.catalogue import chosen
from lab.selftest.defect import Breakage
from lab.ssh import Keys
from lab.waits import NotYet, wait_for
from tests.integration.conftest import NAME, ROOT, Proving, kill_all, mounts, stop_all
from tests.soon import SOON

MASTERS = ("master-1", "master-2", "master-3")
NODES = (*MASTERS, "worker-1", "worker-2")
PHASES = ("machine", "boot", "converge", "init", "api", "addon", "join", "nodes", "ready")
"""Of the steps of a fresh build, in their order."""
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


@pytest.mark.parametrize("phase", PHASES)
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


def test_kubectl_is_given_its_words_as_they_were_typed(proving: Proving) -> None:
    names = "jsonpath={range .items[*]}{.metadata.name} {'a \"b\"  c'};{end}"
    done = proving.invoke("kubectl", "--", "get", "nodes", "-o", names)
    assert (done.code, done.output) == (0, "".join(f'{name} a "b"  c;' for name in NODES))


def test_status_ends_with_1_while_the_api_cannot_be_asked(proving: Proving) -> None:
    assert proving.invoke("status").code == 0
    proving.run("haproxy", "systemctl stop haproxy")
    try:
        done = proving.invoke("status")
    finally:
        proving.run("haproxy", "systemctl start haproxy")
    assert (done.code, done.output.count("unknown")) == (1, len(NODES)), done.output
    assert "cannot be asked" in done.output


def test_drift_is_planned_mended_and_gone(proving: Proving) -> None:
    proving.run("haproxy", 'sed -i "s/timeout connect 2s/timeout connect 9s/" /etc/haproxy/haproxy.cfg')
    planned = proving.invoke("plan")
    assert planned.code == SOMETHING_TO_DO, planned.output
    assert "-    timeout connect 9s" in planned.output
    assert "+    timeout connect 2s" in planned.output
    assert "reload haproxy" in planned.output
    before = proving.run("haproxy", "systemctl show -P MainPID haproxy").split()[-1]
    assert proving.invoke("build").code == 0
    after = proving.run("haproxy", "systemctl show -P MainPID haproxy").split()[-1]
    assert before == after, "haproxy was restarted where a reload was due"
    nothing = proving.invoke("plan")
    assert (nothing.code, "nothing to change" in nothing.output) == (0, True), nothing.output


def test_the_lab_is_what_the_inventory_says(proving: Proving) -> None:
    """All that the lab is on a quiet day."""
    layers = ("render", "node", "cluster", "services")
    done = proving.invoke("verify", *(word for name in layers for word in ("--layer", name)), seconds=900)
    assert done.code == 0, done.output


def test_the_loss_of_a_master_is_survived(proving: Proving) -> None:
    """The etcd leader's machine; `invoke verify` has a fault of each family."""
    done = proving.invoke("verify", "--layer", "ha", "--select", "L4-03")
    assert done.code == 0, done.output


SAMPLE = {
    "balancer-no-tunnel": "a template",
    "sysctl-off": "a kernel setting",
    "file-content": "a rendered file",
    "firewall-open": "a firewall",
    "overlay-mtu": "the pod network",
    "balancer-lost-a-server": "the balancer",
    "permission-denied": "verify's own eyes",
    "taint-missing": "the cluster's nodes",
    "learner-left": "etcd",
    "pool-not-advertised": "services",
}
"""One or two defects of each family; `invoke selftest` has them all."""


def test_a_broken_lab_is_named_by_the_right_check(proving: Proving) -> None:
    done = proving.invoke("selftest", "--select", ",".join(SAMPLE))
    assert done.code == 0, done.output
    rows = json.loads((proving.newest_run() / "selftest.json").read_text())
    assert {row["name"]: row["verdict"] for row in rows} == dict.fromkeys(SAMPLE, "caught")


def evidence(proving: Proving, layer: str, *names: str) -> set[str]:
    """Files below the evidence of a verify of a lab in which these defects are in place."""
    defects = [
        one for one in chosen(load(str(proving.inventory)), ",".join(names)) if isinstance(one, Breakage)
    ]
    try:
        for defect in defects:
            proving.run(defect.place, defect.damage)
        rows = ",".join(defect.row for defect in defects)
        done = proving.invoke("verify", "--layer", layer, "--select", rows)
    finally:
        for defect in defects:
            proving.run(defect.place, defect.repair)
    assert done.code == AcceptanceError.exit_code, done.output
    folder = proving.newest_run() / "evidence"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_red_check_left_what_its_hosts_knew(proving: Proving) -> None:
    """Journals, rendered files, sockets, HAProxy, etcd, events."""
    found = evidence(proving, "node", "balancer-lost-a-server", "sysctl-off")
    found |= evidence(proving, "cluster", "learner-left")
    balancer = "test_10_node_balancer.py_test_every_api_server_is_up_for_the_balancer_haproxy_"
    worker = "test_10_node_system.py_test_kernel_settings_are_as_the_roles_say_worker-1_"
    etcd = "test_20_cluster_members.py_test_etcd_has_three_voters_and_one_leader"
    wanted = {
        *(f"{balancer}/haproxy/{name}" for name in ("haproxy.txt", "journal.txt", "state.txt")),
        f"{balancer}/haproxy/rendered/etc/haproxy/haproxy.cfg",
        *(f"{worker}/worker-1/{name}" for name in ("journal.txt", "state.txt", "containers.txt")),
        f"{worker}/events.txt",
        *(f"{etcd}/{name}" for name in ("check.txt", "events.txt", "master-2/etcd.txt")),
    }
    assert wanted <= found, sorted(wanted - found)


@pytest.mark.parametrize("command", ["verify --layer node --select L1-08", "build", "status"])
def test_a_killed_selftest_leaves_nothing_for_the_next_command(proving: Proving, command: str) -> None:
    note = Keys(NAME).folder / "damage.json"
    process = proving.start("selftest", "--select", "sysctl-off,hosts-file")
    proving.until(process, lambda: proving.run("worker-1", "sysctl -n net.ipv4.ip_forward").strip() == "0")
    kill_all(process)
    assert note.exists()
    done = proving.invoke(*command.split())
    assert done.code == 0, done.output
    for what in ("sysctl-off of worker-1", "hosts-file of haproxy"):
        assert f"healed seeded defect {what}, left behind by process" in done.output
    assert not note.exists()
    assert proving.run("worker-1", "sysctl -n net.ipv4.ip_forward").strip() == "1"


def test_c40_a_second_verify_is_refused_and_a_killed_ones_namespace_is_removed(proving: Proving) -> None:
    def namespaces() -> str:
        config = "/etc/kubernetes/admin.conf"
        command = f"kubectl --kubeconfig {config} get namespaces -l plumbline.local/verify -o name"
        return proving.run("master-1", command)

    process = proving.start("verify", "--layer", "cluster")
    proving.until(process, lambda: "plumbline-probe" in namespaces())
    stop_all(process)  # it holds the lab however long the others take
    refused = proving.invoke("verify", "--layer", "node")
    assert refused.code == 3, refused.output
    assert re.search(r"`invoke verify[^`]*` \(process \d+, since 20\d\d-.* UTC, in /", refused.output), (
        refused.output
    )
    kill_all(process)
    assert "plumbline-probe" in namespaces()
    done = proving.invoke("verify", "--layer", "cluster", "--select", "L2-13")
    assert done.code == 0, done.output
    assert namespaces().strip() == ""


def test_the_first_master_leaves_etcd_in_order_and_is_made_anew(proving: Proving) -> None:
    done = proving.invoke("destroy", "--host", "master-1")
    assert done.code == 0, done.output
    assert "3 voters (master-1, master-2, master-3; all healthy), 2 needed" in done.output
    assert re.search(r"etcd member removed: .* \(master-1\)", done.output), done.output
    assert "Node object removed" in done.output
    assert voters(proving) == ["master-2", "master-3"]
    done = proving.invoke("destroy", "--host", "master-2")
    assert done.code == 0, done.output
    assert voters(proving) == ["master-3"]
    refused = proving.invoke("destroy", "--host", "master-3")
    assert (refused.code, "only voter" in refused.output) == (3, True), refused.output
    done = proving.invoke("build")
    assert done.code == 0, done.output
    assert "dead etcd member removed" not in done.output
    assert voters(proving) == list(MASTERS)


def test_c14_a_master_is_made_anew_when_somebody_deleted_it(proving: Proving) -> None:
    """Behind the back of the cluster, as a broken disk would."""
    before = inits(proving)
    assert Lab(load(str(proving.inventory)), ROOT).provider.destroy("master-1")
    done = proving.invoke("build")
    assert done.code == 0, done.output
    assert "dead etcd member removed" in done.output
    assert voters(proving) == list(MASTERS)
    assert sum(inits(proving).values()) <= sum(before.values()), "a second cluster was founded"
    assert len({proving.run(name, CA).strip() for name in NODES}) == 1


def _no_process() -> None:
    """A killed process runs on for a moment. Raises `NotYet` as long as there is one of the lab."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    if left := [line for line in listed.splitlines() if "/plumbline/proving" in line]:
        raise NotYet("; ".join(left))


def test_destroy_leaves_nothing(proving: Proving) -> None:
    done = proving.invoke("destroy")
    assert done.code == 0, done.output
    mine = "plumbline-proving"
    assert (
        mine not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    )
    # what others of this machine took away meanwhile is theirs
    assert [line for line in mounts() if line not in proving.mounts] == []
    assert not Path("/var/lib/plumbline/proving").exists()
    assert not (ROOT / ".lab" / "proving" / "kubeconfig").exists()
    wait_for("the end of the lab's processes", _no_process, seconds=SOON)
    again = proving.invoke("destroy")
    assert (again.code, "nothing to remove" in again.output) == (0, True), again.output
