"""What a plan compares with what lives, on a lab: told, mended by a build, and gone from the plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.commands.operating import SOMETHING_TO_DO
from lab.errors import DeadlineError, PreflightError
from tests.integration.conftest import Proving
from tests.integration.living import KUBECTL, fingerprint
from tests.integration.test_living_cases import mended, quiet, said, whole

pytestmark = pytest.mark.long
SERVICE = f"{KUBECTL} create service loadbalancer kept --tcp=80"
ADDRESS = f"{KUBECTL} get service kept -o 'jsonpath={{.status.loadBalancer.ingress[0].ip}}'"
OPEN = "nc -z -w 1 10.1.1.31 22"


@pytest.fixture(scope="module", autouse=True)
def standing(proving: Proving) -> Iterator[None]:
    """A lab that is as its inventory says."""
    done = proving.invoke("build")
    assert done.code == 0, done.output
    yield
    proving.invoke("destroy")


@contextmanager
def written(proving: Proving, old: str, new: str) -> Iterator[None]:
    """The inventory with another text in one place; afterwards as it was."""
    text = proving.inventory.read_text()
    assert text.count(old) == 1, old
    proving.inventory.write_text(text.replace(old, new))
    try:
        yield
    finally:
        proving.inventory.write_text(text)


def told(proving: Proving, *sentences: str) -> None:
    """A plan with something to do says these."""
    found = proving.invoke("plan")
    assert found.code == SOMETHING_TO_DO, found.output
    for sentence in sentences:
        assert sentence in said(found), found.output


def test_other_name_servers_come_to_machines_and_to_pods_that_had_copied_the_old_ones(
    proving: Proving,
) -> None:
    gateway = "  gateway: 10.1.1.1\n"
    with written(proving, gateway, f"{gateway}  nameservers: [10.1.1.9]\n  search_domains: [lan.example]\n"):
        mended(proving, "replace kube-system/coredns-", "replace kube-system/kube-proxy-")
        assert "nameserver 10.1.1.9" in proving.run("master-1", "cat /etc/resolv.conf")
        quiet(proving, "P2-22")
    mended(proving, "replace kube-system/coredns-")
    assert "nameserver 10.1.1.9" not in proving.run("master-1", "cat /etc/resolv.conf")


def test_a_service_that_loses_its_address_by_a_smaller_pool_is_named_before_it_does(proving: Proving) -> None:
    annotate = f"{KUBECTL} annotate service kept metallb.universe.tf/loadBalancerIPs=10.1.1.149"
    proving.run("master-1", f"{SERVICE} && {annotate}")
    given = f'for i in $(seq 60); do test "$({ADDRESS})" = 10.1.1.149 && exit 0; sleep 1; done; exit 1'
    try:
        proving.run("master-1", given)
        with written(proving, "10.1.1.100-10.1.1.150", "10.1.1.100-10.1.1.120"):
            told(proving, "Service/default/kept loses 10.1.1.149 of pool default")
        whole(proving)
        assert proving.run("master-1", ADDRESS) == "10.1.1.149"
    finally:
        proving.run("master-1", f"{KUBECTL} delete service kept")


def test_a_machine_that_left_the_file_is_named_with_the_way_to_remove_it_and_kept(proving: Proving) -> None:
    line = "  worker-2: {role: worker, address: 10.1.1.32}\n"
    before = fingerprint(proving)
    with written(proving, line, ""), written(proving, "ingress:\n", "ingress:\n  replicas: 1\n"):
        way = "invoke destroy --host worker-2 removes it"
        told(
            proving,
            f"is a machine of this lab (running) and not in the file: {way}",
            f"has a Node object and is no node of the file, and nothing is built while it works: {way}",
        )
        done = proving.invoke("build")
        assert done.code == PreflightError.exit_code, done.output
        assert "works as a node of the cluster and is no node of the file" in said(done)
    whole(proving)
    assert fingerprint(proving) == before


def test_a_host_that_does_not_answer_is_named_and_the_others_are_compared(proving: Proving) -> None:
    closing = "table inet closed { chain input { type filter hook input priority -300; tcp dport 22 drop; } }"
    opening = "nft delete table inet closed; systemctl restart ssh"
    proving.run("worker-2", "sysctl -w net.ipv4.ip_forward=0")
    later = "systemd-run --collect --on-active={} --timer-property=AccuracySec=100ms sh -c '{}'"
    closed = f'echo "{closing}" | nft -f -'
    proving.run("worker-1", f"{later.format(90, opening)}; {later.format(1, closed)}")
    proving.run("master-1", f"for i in $(seq 30); do {OPEN} || exit 0; sleep 1; done; exit 1")
    found = proving.invoke("plan")
    assert found.code == DeadlineError.exit_code, found.output
    assert "worker-1" in said(found)
    assert "sysctl net.ipv4.ip_forward: 0 -> 1" in said(found), found.output
    proving.run("master-1", f"for i in $(seq 120); do {OPEN} && exit 0; sleep 1; done; exit 1")
    mended(proving, "sysctl net.ipv4.ip_forward: 0 -> 1")


@pytest.mark.parametrize(
    ("host", "unit"), [("haproxy", "haproxy"), ("worker-1", "kubelet"), ("master-2", "containerd")]
)
def test_a_unit_that_has_met_its_start_limit_is_started_again(proving: Proving, host: str, unit: str) -> None:
    folder = f"/run/systemd/system/{unit}.service.d"
    lines = r"[Service]\nExecStart=\nExecStart=/bin/false\nRestart=no\n"
    broken = f"mkdir -p {folder}; printf '{lines}' > {folder}/zz.conf"
    starts = f"for i in 1 2 3 4 5 6 7; do systemctl restart {unit} || true; done"
    proving.run(host, f"{broken}; systemctl daemon-reload; {starts}; rm -r {folder}; systemctl daemon-reload")
    mended(proving, f"start {unit}.service (it is failed)")


def test_an_image_that_is_missing_on_a_node_is_brought_again(proving: Proving) -> None:
    name = "registry.k8s.io/kube-apiserver:v1.31.0"
    held = "ctr --namespace k8s.io images ls -q"
    assert name in proving.run("master-3", held)
    proving.run("master-3", f"ctr --namespace k8s.io images rm {name}")
    mended(proving, f"import image {name}")
    assert name in proving.run("master-3", held)


def test_labels_taints_and_a_foreign_node_are_compared(proving: Proving) -> None:
    filler = '{"apiVersion":"v1","kind":"Node","metadata":{"name":"filler"}}'
    taint = "node-role.kubernetes.io/control-plane:NoSchedule"
    proving.run("master-1", f"echo '{filler}' | {KUBECTL} create -f -")
    try:
        way = "invoke destroy --host filler removes it"
        told(proving, f"filler has a Node object and is no node of the file: {way}")
    finally:
        proving.run("master-1", f"{KUBECTL} delete node filler")
    proving.run("master-1", f"{KUBECTL} taint node master-2 {taint}-")
    mended(proving, "master-2")
    taints = proving.run("master-1", f"{KUBECTL} get node master-2 -o 'jsonpath={{.spec.taints}}'")
    assert "node-role.kubernetes.io/control-plane" in taints
