"""Faults that people reported of labs that run, each under its number, and mended by its commands."""

from __future__ import annotations

import re
import tarfile
import time
from collections.abc import Iterator
from shlex import quote

import pytest

from lab.commands.operating import SOMETHING_TO_DO
from lab.errors import AcceptanceError, DeadlineError
from tests.integration.conftest import Done, Proving
from tests.integration.living import KUBECTL

pytestmark = pytest.mark.long
ASKING = """\
import ssl, urllib.request
context = ssl._create_unverified_context()
print(urllib.request.urlopen("https://10.1.1.50:6443/readyz", timeout=2, context=context).read().decode())
"""
API = f"python3 -c {quote(ASKING)}"


@pytest.fixture(scope="module", autouse=True)
def standing(proving: Proving) -> Iterator[None]:
    """A lab that is as its inventory says."""
    done = proving.invoke("build")
    assert done.code == 0, done.output
    yield
    proving.invoke("destroy")


def said(done: Done) -> str:
    """Output without the breaks of a narrow terminal."""
    return " ".join(done.output.split())


def whole(proving: Proving) -> None:
    found = proving.invoke("plan")
    assert found.code == 0, found.output
    assert "nothing to change" in found.output


def mended(proving: Proving, *sentences: str) -> float:
    """The plan says these, a build mends them; how long it took."""
    found = proving.invoke("plan")
    # a webhook may live on the very machine, so that its objects cannot be compared in time
    assert found.code in (SOMETHING_TO_DO, DeadlineError.exit_code), found.output
    for sentence in sentences:
        assert sentence in said(found), found.output
    begun = time.monotonic()
    done = proving.invoke("build")
    assert done.code == 0, done.output
    whole(proving)
    return time.monotonic() - begun


def reddened(proving: Proving, row: str) -> str:
    """What verify says of a row that is red."""
    done = proving.invoke("verify", "--select", row)
    assert done.code == AcceptanceError.exit_code, done.output
    return said(done)


def quiet(proving: Proving, row: str) -> None:
    done = proving.invoke("verify", "--select", row)
    assert done.code == 0, done.output


@pytest.mark.parametrize("name", ["worker-1", "master-3"])
def test_c47_a_node_object_that_somebody_deleted_is_back_within_a_minute(proving: Proving, name: str) -> None:
    before = proving.run("master-1", f"{KUBECTL} get node {name} --show-labels --no-headers").split()[-1]
    proving.run("master-1", f"{KUBECTL} delete node {name}")
    mended(proving, f"{name} restart the kubelet: its Node object {name} is gone")
    after = proving.run("master-1", f"{KUBECTL} get node {name} --show-labels --no-headers").split()[-1]
    assert after == before
    quiet(proving, "P2-21")


def test_c47_a_node_with_another_part_of_the_pods_network_gets_a_bridge_of_it(proving: Proving) -> None:
    filler = '{"apiVersion":"v1","kind":"Node","metadata":{"name":"filler"}}'
    part = "-o jsonpath={.spec.podCIDR}"
    before = proving.run("master-1", f"{KUBECTL} get node worker-1 {part}")
    proving.run("master-1", f"{KUBECTL} delete node worker-1 && echo '{filler}' | {KUBECTL} create -f -")
    proving.run("worker-1", "systemctl restart kubelet")
    waiting = f"for i in $(seq 60); do {KUBECTL} get node worker-1 && exit 0; sleep 1; done; exit 1"
    proving.run("master-1", waiting)
    proving.run("master-1", f"{KUBECTL} delete node filler")
    assert proving.run("master-1", f"{KUBECTL} get node worker-1 {part}") != before
    mended(proving, "remove the bridge and replace the pods behind it: cni0 has")
    quiet(proving, "P2-21")


def test_c49_renewed_certificates_are_not_taken_for_those_that_processes_have(proving: Proving) -> None:
    proving.run("master-1", "kubeadm certs renew all")
    assert "restart kube-scheduler: it runs since" in reddened(proving, "L2-17")
    # a mirror pod that is deleted comes back, and its process stays
    proving.run("master-1", f"{KUBECTL} -n kube-system delete pod kube-scheduler-master-1 --wait=false")
    assert "restart kube-scheduler: it runs since" in reddened(proving, "L2-17")
    mended(proving, "restart kube-scheduler")
    quiet(proving, "L2-17")


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (
            "ip address del 10.1.1.50/24 dev $card; systemctl restart haproxy; sleep 20;"
            " ip address add 10.1.1.50/24 dev $card; ip route replace default via 10.1.1.1",
            23,
        ),
        ("for i in 1 2 3 4 5 6 7; do systemctl restart haproxy; done", 6),
    ],
    ids=["no address for 20 s", "seven restarts"],
)
def test_c51_the_balancer_is_back_by_itself(proving: Proving, trouble: str, seconds: int) -> None:
    """Within 5 s after its address is there, or after the last restart."""
    card = 'card=$(ip -br -4 address | awk \'/10.1.1.50/ {sub("@.*", "", $1); print $1}\')'
    later = "systemd-run --collect --on-active=1 --timer-property=AccuracySec=100ms --unit=late"
    proving.run("haproxy", f'{card}; {later} sh -c "{trouble}"')
    answered = f"for i in $(seq 5); do {API} | grep -qx ok && exit 0; sleep 1; done; exit 1"
    proving.run("master-1", f"sleep {seconds}; {answered}")
    assert "failed" not in proving.run("haproxy", "systemctl show -P ActiveState haproxy")
    whole(proving)


def test_c53_a_device_with_an_address_of_a_pool_is_named_by_its_address(proving: Proving) -> None:
    proving.run("haproxy", "ip address add 10.1.1.120/32 dev lo")
    try:
        told = reddened(proving, "P3-03")
    finally:
        proving.run("haproxy", "ip address del 10.1.1.120/32 dev lo")
    assert "10.1.1.120: no service has it, and haproxy answers" in told
    quiet(proving, "P3-03")


def test_c59_what_a_machine_logged_before_it_lost_its_power_is_in_the_bundle(proving: Proving) -> None:
    proving.run("worker-1", "logger -t mark 'lab mark 4711'; journalctl --sync")
    done = proving.invoke("fault", "power-off", "--host", "worker-1")
    assert done.code == 0, done.output
    done = proving.invoke("logs", "--host", "worker-1")
    path = re.search(r"(\S+logs\.tar\.gz)", done.output)
    assert path is not None, done.output
    with tarfile.open(path[1]) as bundle:
        journal = bundle.extractfile("hosts/worker-1/journal.txt")
        assert journal is not None
        assert "lab mark 4711" in journal.read().decode()
