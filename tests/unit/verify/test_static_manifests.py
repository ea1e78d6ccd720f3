"""Static pods against kubeadm's own: flags and fields that are kubeadm's are accepted, others named."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.checks.static_manifests import COMMAND, are_kubeadms, made, unlike_manifests, unlike_processes
from lab.cluster.settled import Master
from lab.objects import Object
from tests.fakes import FakeSsh


def pod(name: str, *flags: str, **spec: Any) -> Object:
    """A static pod as kubeadm 1.31 writes it, in short."""
    container = {"name": name, "image": f"registry.k8s.io/{name}:v1.31.0", "command": [name, *flags]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"creationTimestamp": None, "name": name, "labels": {"component": name}},
        "spec": {"containers": [container], "hostNetwork": True} | spec,
        "status": {},
    }


SCHEDULER = pod("kube-scheduler", "--bind-address=127.0.0.1", "--leader-elect=true")
ETCD = pod("etcd", "--name=master-1", "--initial-cluster=master-1=https://10.1.1.11:2380")
WANTED = {"kube-scheduler": SCHEDULER, "etcd": ETCD}
OUTPUT = "---\n".join(["", *map(yaml.safe_dump, WANTED.values())])


def changed(item: Object, *flags: str, **container: Any) -> Object:
    """A pod with further flags, and other fields of its container."""
    found = copy.deepcopy(item)
    found["spec"]["containers"][0]["command"] += flags
    found["spec"]["containers"][0] |= container
    return found


def judged(**pods: Object) -> list[str]:
    held = WANTED | {name.replace("_", "-"): item for name, item in pods.items()}
    return list(
        unlike_manifests(WANTED, {f"{name}.yaml": yaml.safe_dump(item) for name, item in held.items()})
    )


def test_the_dry_run_is_read_by_name() -> None:
    assert made(OUTPUT) == WANTED
    for nothing in ("", "---\n", "- no pod", "a: {"):
        with pytest.raises(ValueError, match="tells no pods"):
            made(nothing)


def test_what_kubeadm_makes_is_accepted_in_any_order() -> None:
    other = copy.deepcopy(SCHEDULER)
    other["spec"]["containers"][0]["command"][1:] = reversed(
        SCHEDULER["spec"]["containers"][0]["command"][1:]
    )
    assert judged(kube_scheduler=other) == []


def test_a_member_may_have_joined_at_another_moment() -> None:
    assert judged(etcd=changed(ETCD, "--initial-cluster-state=existing")) == []


@pytest.mark.parametrize(
    ("held", "line"),
    [
        (
            changed(SCHEDULER, "--kube-api-qps=49"),
            "kube-scheduler.yaml --kube-api-qps: 49 (kubeadm: not given)",
        ),
        (
            changed(SCHEDULER, "--leader-elect=false"),
            "kube-scheduler.yaml --leader-elect: false (kubeadm: true)",
        ),
        (
            changed(SCHEDULER, image="x"),
            "kube-scheduler.yaml spec.containers[name=kube-scheduler].image: x"
            " (kubeadm: registry.k8s.io/kube-scheduler:v1.31.0)",
        ),
        (
            SCHEDULER | {"spec": SCHEDULER["spec"] | {"hostPID": True}},
            "kube-scheduler.yaml spec.hostPID: yes (kubeadm: not given)",
        ),
        ({"no": "pod"}, "kube-scheduler.yaml: no manifest of a pod"),
    ],
)
def test_what_a_master_has_otherwise_is_named(held: Object, line: str) -> None:
    assert judged(kube_scheduler=held) == [line]


def test_a_manifest_that_is_gone_is_named() -> None:
    texts = {"etcd.yaml": yaml.safe_dump(ETCD)}
    assert list(unlike_manifests(WANTED, texts)) == ["kube-scheduler.yaml: no manifest of a pod"]


def test_a_process_that_runs_with_its_flags_is_accepted() -> None:
    lines = {name: [tuple(item["spec"]["containers"][0]["command"])] for name, item in WANTED.items()}
    assert list(unlike_processes(WANTED, lines)) == []


def test_a_process_that_runs_with_others_or_not_at_all_is_named() -> None:
    line = ("/usr/local/bin/kube-scheduler", "--bind-address=127.0.0.1", "--leader-elect=true", "--v=9")
    assert list(unlike_processes({"kube-scheduler": SCHEDULER}, {"kube-scheduler": [line]})) == [
        "kube-scheduler runs with --v: 9 (kubeadm: not given)"
    ]
    assert list(unlike_processes({"kube-scheduler": SCHEDULER}, {})) == ["kube-scheduler: does not run"]


def master(*flags: str) -> Master:
    lines = {name: (tuple(item["spec"]["containers"][0]["command"]),) for name, item in WANTED.items()}
    lines["kube-scheduler"] = ((*lines["kube-scheduler"][0], *flags),)
    return Master("master-1", lines, {}, None, None)


def test_each_master_is_asked_with_its_own_document(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("master-1", COMMAND, OUTPUT)
    texts = {f"{name}.yaml": yaml.safe_dump(item) for name, item in WANTED.items()}
    facts = Facts("master-1", {"manifests": texts})
    are_kubeadms(driver, facts, master())
    assert '"advertiseAddress": "10.1.1.11"' in ssh.calls[-1].stdin
    with pytest.raises(Mismatch, match="kube-scheduler runs with --v: 9"):
        are_kubeadms(driver, facts, master("--v=9"))


def test_a_kubeadm_that_makes_nothing_is_could_not_tell(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("master-1", COMMAND, "")
    with pytest.raises(CouldNotTell, match="master-1: kubeadm's dry run tells no pods"):
        are_kubeadms(driver, Facts("master-1", {"manifests": {}}), master())
