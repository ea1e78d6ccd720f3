"""Operations that change a living cluster are killed in the middle, and run again to the end.

etcd has its quorum all the time, and what was written before is there afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from lab.cluster.etcd import etcdctl
from lab.errors import PreflightError
from lab.inventory import load
from tests.integration.conftest import Proving, kill_all
from tests.integration.living import KUBECTL, drained, kill_while_drained, write
from tests.integration.test_lab_story import CA, MASTERS, NODES, inits, voters
from tests.integration.test_lab_update import asking

pytestmark = pytest.mark.long
WORDS = 50
"""ConfigMaps that are written before and must be there in the end."""
LEAVING = ("leave", "remove", "node")
"""What `destroy --host` of a master does, in this order."""


@pytest.fixture(scope="module", autouse=True)
def standing(proving: Proving) -> Iterator[None]:
    """A lab that was born with short times, and holds something."""
    text = write(proving, "reaction: fast")
    done = proving.invoke("build")
    assert done.code == 0, done.output
    create = f"for n in $(seq {WORDS}); do {KUBECTL} create configmap kept-$n --from-literal=n=$n; done"
    proving.run("master-1", create)
    yield
    proving.invoke("destroy")
    proving.inventory.write_text(text)


def members(proving: Proving, through: str) -> dict[str, bool]:
    """Name of each member of etcd, "" before its first start, and whether it is a learner."""
    listed = json.loads(proving.run(through, etcdctl("member list -w json")))["members"]
    return {item.get("name", ""): item.get("isLearner", False) for item in listed}


def whole(proving: Proving, founded: dict[str, int]) -> None:
    """Three voters, one cluster, nothing lost, and nothing to do."""
    assert voters(proving) == list(MASTERS)
    assert sum(inits(proving).values()) <= sum(founded.values()), "a second cluster was founded"
    assert len({proving.run(name, CA).strip() for name in NODES}) == 1
    held = proving.run("master-1", f"{KUBECTL} get configmap -o name").split()
    assert {f"configmap/kept-{number}" for number in range(1, WORDS + 1)} <= set(held)
    planned = proving.invoke("plan")
    assert (planned.code, "nothing to change" in planned.output) == (0, True), planned.output


def writable(proving: Proving) -> None:
    """etcd takes a write within seconds, so it has its quorum."""
    note = f"{KUBECTL} annotate --overwrite configmap kept-1 at=$(date +%s%N)"
    proving.run("master-1", f"for n in 1 2 3 4 5; do {note} && exit 0; sleep 2; done; exit 1")


def test_short_times_become_long_ones_and_no_living_node_is_called_dead(proving: Proving) -> None:
    """The dangerous way round, killed while the second master is drained; so is kube-proxy's mode."""
    write(proving, "reaction: default")
    write(proving, "proxy_mode: nftables")
    for command in ("plan", "build"):
        refused = proving.invoke(command)
        assert refused.code == PreflightError.exit_code, refused.output
    with asking(proving) as wrong:
        kill_while_drained(proving, "master-2")
        done = proving.invoke("reconfigure")
    assert done.code == 0, done.output
    assert wrong == [], "the API was away"
    assert drained(proving) == set()
    lost = proving.run("master-1", f"{KUBECTL} get events -A --field-selector reason=NodeNotReady -o name")
    assert lost == ""
    rules = "nft list tables; iptables-save -t nat | grep -c KUBE-SVC || true"
    said = {name: proving.run(name, rules).splitlines() for name in NODES}
    assert all("table ip kube-proxy" in lines and lines[-1] == "0" for lines in said.values()), said
    whole(proving, inits(proving))
    checked = proving.invoke("verify", "--layer", "cluster")
    assert checked.code == 0, checked.output


def test_names_that_a_certificate_lacks_are_planned_and_added(proving: Proving) -> None:
    pki = "/etc/kubernetes/pki"
    version = load(str(proving.inventory)).kubernetes.version
    own = f"--apiserver-advertise-address 10.1.1.13 --kubernetes-version {version}"
    aside = f"mv {pki}/apiserver.crt {pki}/apiserver.key /root"
    proving.run("master-3", f"{aside} && kubeadm init phase certs apiserver {own}")
    refused = proving.invoke("build")
    said = " ".join(refused.output.split())
    assert refused.code == PreflightError.exit_code, said
    assert "hosts: certificate names: the certificate lacks 10.1.1.11, 10.1.1.12, 10.1.1.50" in said
    done = proving.invoke("reconfigure")
    assert done.code == 0, done.output
    served = "openssl s_client -connect 127.0.0.1:6443 < /dev/null 2> /dev/null | openssl x509 -noout -text"
    assert "IP Address:10.1.1.50" in proving.run("master-3", served)
    assert "nothing to change" in proving.invoke("plan").output


def test_a_master_whose_removal_is_killed_in_each_step_is_gone_in_the_end(proving: Proving) -> None:
    founded = inits(proving)
    for phase in LEAVING:
        proving.kill_in(phase, "destroy", "--host", "master-2")
        writable(proving)
    done = proving.invoke("destroy", "--host", "master-2")
    assert done.code == 0, done.output
    assert sorted(members(proving, "master-1")) == ["master-1", "master-3"]
    assert "master-2" not in proving.run("master-1", f"{KUBECTL} get nodes -o name")
    assert proving.invoke("build").code == 0
    whole(proving, founded)


def test_a_worker_whose_removal_is_killed_is_gone_in_the_end(proving: Proving) -> None:
    for phase in LEAVING[1:]:
        proving.kill_in(phase, "destroy", "--host", "worker-2")
    done = proving.invoke("destroy", "--host", "worker-2")
    assert done.code == 0, done.output
    assert "worker-2" not in proving.run("master-1", f"{KUBECTL} get nodes -o name")
    assert proving.invoke("build").code == 0
    whole(proving, inits(proving))


def is_learner(proving: Proving) -> bool:
    """etcd has a member without a vote: kubeadm waits for it to catch up."""
    return any(members(proving, "master-1").values())


def has_a_kubelet(proving: Proving) -> bool:
    """kubeadm has written the kubelet's credentials on the worker that joins."""
    try:
        return "yes" in proving.run("worker-2", "test -e /etc/kubernetes/kubelet.conf && echo yes; true")
    except AssertionError:  # it boots
        return False


def votes(proving: Proving) -> bool:
    """The master that joins has its vote, and kubeadm is not at its end."""
    return members(proving, "master-1").get("master-3") is False


@pytest.mark.parametrize("kubeadm", ["goes on", "dies too"])
@pytest.mark.parametrize(
    ("host", "moment"), [("master-2", is_learner), ("master-3", votes), ("worker-2", has_a_kubelet)]
)
def test_a_join_that_was_killed_is_finished_by_another_build(
    proving: Proving, host: str, moment: Callable[[Proving], bool], kubeadm: str
) -> None:
    """The host's own kubeadm outlives the harness, unless the host died with it."""
    founded = inits(proving)
    assert proving.invoke("destroy", "--host", host).code == 0
    process = proving.start("build")
    proving.until(process, lambda: moment(proving))
    kill_all(process)
    if kubeadm == "dies too":
        proving.run(host, "systemctl kill -s KILL plumbline-kubeadm || true")
    writable(proving)
    done = proving.invoke("build")
    assert done.code == 0, done.output
    whole(proving, founded)
