"""A lab follows its inventory: what depends on a change is planned, done, and then nothing is left to do."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import http_get
from lab.checks.verbs import Refused
from lab.commands.operating import SOMETHING_TO_DO
from lab.errors import DeadlineError, PreflightError
from lab.inventory import load
from lab.labs import Lab
from tests.integration.conftest import ROOT, Proving
from tests.integration.living import drained, fingerprint, kill_while_drained, write
from tests.soon import SOON

NODES = ("master-1", "master-2", "master-3", "worker-1", "worker-2")
LOGS = "/var/lib/kubelet/config.yaml: containerLogMaxSize: 10Mi -> 20Mi; then restart kubelet"
SLOW_SECONDS = 10
"""For an answer of the API: a busy machine's is late, and no sign that nobody answers."""
CHANGES = {
    "haproxy's timeouts": (
        "load_balancer: {timeout_idle_seconds: 3000}\n",
        {"haproxy": ["write /etc/haproxy/haproxy.cfg; then reload haproxy"]},
    ),
    "the size of pod logs": (
        "pod_log_max_mib: 20",
        {"kubelet": ["change ConfigMap/kube-system/kubelet-config"]} | {name: [LOGS] for name in NODES},
    ),
    "a pool": (
        "10.1.1.100-10.1.1.140",
        {"metallb": ["change IPAddressPool/metallb-system/default"]},
    ),
    "who may log in": (
        "ssh: {networks: [10.77.0.0/16]}\n",
        {name: ["write /etc/nftables.conf; then reload nftables"] for name in ("haproxy", *NODES)},
    ),
}


@pytest.fixture(scope="module", autouse=True)
def standing(proving: Proving) -> Iterator[None]:
    """A lab that is as its inventory says."""
    done = proving.invoke("build")
    assert done.code == 0, done.output
    yield
    proving.invoke("destroy")


def edit(proving: Proving, change: str) -> None:
    """Write one change into the inventory."""
    text = proving.inventory.read_text()
    if change.startswith("pod_log"):
        text = text.replace("kubernetes:\n", f"kubernetes:\n  {change}\n")
    elif change.startswith("10.1.1.100"):
        text = text.replace("10.1.1.100-10.1.1.150", change)
    else:
        text += change
    proving.inventory.write_text(text)


def planned(output: str) -> dict[str, list[str]]:
    """Sentences by host or add-on, from the lines that `plan` prints; diffs are left out."""
    found: dict[str, list[str]] = {}
    joined = re.sub(r"\n {20,}(?=\S)", " ", output)
    for match in re.finditer(r"^ +[0-9.]+s +(\S+) +(\S.*)$", joined, re.MULTILINE):
        found.setdefault(match[1], []).append(match[2].strip())
    return found


@contextmanager
def asking(proving: Proving) -> Iterator[list[str]]:
    """Ten requests a second to the API through the balancer, a new connection each; what went wrong."""
    over, wrong, asked = threading.Event(), list[str](), list[float]()

    def ask() -> None:
        lab = Lab(load(str(proving.inventory)), ROOT)
        lab.provider.enter()  # this thread alone: the commands stay outside
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        balancer = lab.inventory.hosts[lab.inventory.balancer]
        while not over.is_set():
            begun = time.monotonic()
            try:
                answer = http_get(
                    str(balancer.address),
                    lab.inventory.kubernetes.api_port,
                    "/readyz",
                    tls=tls,
                    seconds=SLOW_SECONDS,
                )
                wrong.extend([] if answer.status == 200 else [f"{answer.status}: {answer.body[:80]}"])
            except (Refused, CouldNotTell) as error:
                wrong.append(str(error))
            asked.append(begun)
            over.wait(max(0.0, 0.1 - (time.monotonic() - begun)))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join(SOON)
    assert len(asked) > 20, "the client hardly asked"


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reaches_exactly_what_depends_on_it(proving: Proving, name: str) -> None:
    change, expected = CHANGES[name]
    before = proving.run("haproxy", "systemctl show -P MainPID haproxy").split()[-1]
    edit(proving, change)
    found = proving.invoke("plan")
    assert (found.code, planned(found.output)) == (SOMETHING_TO_DO, expected)
    with asking(proving) as wrong:
        done = proving.invoke("build")
    assert done.code == 0, done.output
    assert wrong == [], "requests failed while the change was made"
    assert "nothing to change" in proving.invoke("plan").output
    after = proving.run("haproxy", "systemctl show -P MainPID haproxy").split()[-1]
    assert before == after, "haproxy was restarted"


def behind_webhook(proving: Proving) -> dict[bool, str]:
    """The worker whose pod answers MetalLB's webhook (True), and one that no comparison needs (False)."""
    ask = "get pod -n metallb-system -l component=controller -o jsonpath={.items[0].spec.nodeName}"
    needed = proving.run("master-1", f"kubectl --kubeconfig /etc/kubernetes/admin.conf {ask}").strip()
    other = next(name for name in NODES if name.startswith("worker") and name != needed)
    return {True: needed, False: other}


FORWARDING = ("sysctl -w net.ipv4.ip_forward=0", "sysctl net.ipv4.ip_forward: 0 -> 1")
TABLE = ("nft delete table inet plumbline", "load /etc/nftables.conf: table inet plumbline is missing")
RULE = (
    "nft insert rule inet plumbline input tcp dport 10250 drop",
    "load /etc/nftables.conf: table inet plumbline was changed by hand",
)


@pytest.mark.parametrize(
    ("damage", "sentence", "needed"),
    [(*FORWARDING, False), (*FORWARDING, True), (*TABLE, False), (*RULE, True)],
    ids=["sysctl-any worker", "sysctl-the webhook's worker", "table-any worker", "rule-the webhook's worker"],
)
def test_what_was_changed_by_hand_is_shown_and_mended(
    proving: Proving, damage: str, sentence: str, needed: bool
) -> None:
    host = behind_webhook(proving)[needed]
    proving.run(host, damage)
    found = proving.invoke("plan")
    assert planned(found.output) == {host: [sentence]}
    if "ip_forward" in damage and needed:  # no packet reaches its pods: what a webhook judges stays open
        assert found.code == DeadlineError.exit_code, found.output
        assert "dry run of" in found.output
    else:
        assert found.code == SOMETHING_TO_DO, found.output
    assert proving.invoke("build").code == 0
    assert "nothing to change" in proving.invoke("plan").output


SETTLED = {
    "pod_subnet: 10.200.0.0/16": (
        "kubernetes.pod_subnet: podSubnet: the cluster has 10.244.0.0/16, the file says 10.200.0.0/16 "
        "(ConfigMap kubeadm-config)",
        "write the cluster's value of kubernetes.pod_subnet back into the file; "
        "or start again: invoke destroy",
    ),
    "reaction: fast": (
        "kubernetes.reaction: node-monitor-grace-period: the cluster has 50s, the file says 10s "
        "(ConfigMap kubeadm-config; kube-controller-manager of master-1,",
        "next: invoke reconfigure",
    ),
    "proxy_mode: nftables": (
        "kubernetes.proxy_mode: mode: the cluster has iptables, the file says nftables "
        "(ConfigMap kube-proxy)",
        "next: invoke reconfigure",
    ),
}


@pytest.mark.parametrize("change", SETTLED)
def test_c45_what_the_cluster_was_born_with_is_refused_and_nothing_changes(
    proving: Proving, change: str
) -> None:
    difference, way_out = SETTLED[change]
    before = fingerprint(proving)
    text = write(proving, change)
    try:
        for command in ("plan", "build"):
            done = proving.invoke(command)
            said = " ".join(done.output.split())
            assert done.code == PreflightError.exit_code, said
            assert difference in said
            assert way_out in said
    finally:
        proving.inventory.write_text(text)
    assert fingerprint(proving) == before
    assert "nothing to change" in proving.invoke("plan").output


def test_a_reconfigure_that_was_killed_is_finished_by_another(proving: Proving) -> None:
    """kill -9 while the second master is out of the rotation; the API answers all the time."""
    write(proving, "node_monitor_grace_seconds: 60")
    sentence = "kube-controller-manager: node-monitor-grace-period: 50s -> 60s"
    last = "ConfigMap kubeadm-config: node-monitor-grace-period: 50s -> 60s"
    with asking(proving) as wrong:
        found = proving.invoke("plan", "--of", "reconfigure")
        assert found.code == SOMETHING_TO_DO, found.output
        everywhere = {name: [sentence] for name in NODES[:3]}
        assert planned(found.output) == everywhere | {"config": [last]}
        kill_while_drained(proving, "master-2")
        assert proving.invoke("build").code == PreflightError.exit_code, "it is neither as before nor done"
        left = planned(proving.invoke("plan", "--of", "reconfigure").output)
        assert left.pop("haproxy") == ["master-2 into the rotation of API servers again: it was left drained"]
        assert left.pop("config") == [last]
        assert set(left) in ({"master-2", "master-3"}, {"master-3"})
        done = proving.invoke("reconfigure")
        assert done.code == 0, done.output
        assert drained(proving) == set()
        for of in ("reconfigure", "build"):
            assert "nothing to change" in proving.invoke("plan", "--of", of).output
    assert wrong == [], "the API was away"
