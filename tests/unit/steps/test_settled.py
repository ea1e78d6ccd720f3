"""A living cluster is not built half way into other settings than it was born with (C45)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.errors import FailedError, PlumblineError, PreflightError
from lab.operations import build as operation
from lab.steps.context import Context
from lab.steps.engine import listed, something_to_do
from tests import born
from tests.world import INVENTORY, World, inventory

BUILT = "hosts:"


@pytest.fixture
def lives(world: World) -> World:
    """The lab is built, and everything that was done for it is forgotten."""
    made = world.build()
    made.engine.execute(operation.steps(made))
    made.run.close()
    for log in (world.kubeadm_runs, world.provider.log, world.api.applied, world.api.deleted):
        log.clear()
    for host in world.hosts.values():
        host.ran.clear()
    return world


def with_kubernetes(setting: str) -> str:
    return INVENTORY.replace(BUILT, f"kubernetes: {{{setting}}}\n{BUILT}")


@pytest.fixture
def changed(lives: World) -> Iterator[Context]:
    made = lives.build()
    yield made
    made.run.close()


def unchanged(world: World) -> bool:
    """Whether no machine, object or file was touched."""
    ran = [command for host in world.hosts.values() for command in host.ran]
    return not (world.provider.log or world.api.applied or world.api.deleted or world.kubeadm_runs or ran)


def refused(world: World, text: str) -> PlumblineError:
    """What plan and build both say to a file; neither changes anything."""
    world.inventory = inventory(text)
    plan, context = world.build(), world.build()
    try:
        with pytest.raises(PreflightError) as planned:
            listed(operation.steps(plan))
        with pytest.raises(PreflightError) as tried:
            context.engine.execute(operation.steps(context))
    finally:
        plan.run.close()
        context.run.close()
    assert planned.value.message == tried.value.message
    assert unchanged(world)
    assert tried.value.exit_code == 3
    return tried.value


@pytest.mark.parametrize(
    ("setting", "name", "living"),
    [
        ("pod_subnet: 10.200.0.0/16", "podSubnet", "10.244.0.0/16"),
        ("service_subnet: 10.112.0.0/12", "serviceSubnet", "10.96.0.0/12"),
        ("node_mask: 25", "node-cidr-mask-size", "24"),
        ("dns_domain: k8s.internal", "dnsDomain", "cluster.local"),
        ("api_port: 7443", "secure-port", "6443"),
    ],
)
def test_c45_a_field_that_needs_a_new_cluster_is_refused(
    lives: World, setting: str, name: str, living: str
) -> None:
    said = refused(lives, with_kubernetes(setting))
    field, _, wanted = setting.partition(": ")
    line = f"kubernetes.{field}: {name}: the cluster has {living}, the file says {wanted} ("
    assert line in said.message
    assert said.next_step == (
        f"write the cluster's value of kubernetes.{field} back into the file; "
        "or start again: invoke destroy, then invoke build"
    )


@pytest.mark.parametrize(
    ("setting", "field", "living", "wanted"),
    [
        ("proxy_mode: nftables", "kubernetes.proxy_mode: mode", "iptables", "nftables"),
        ("reaction: fast", "kubernetes.reaction: node-monitor-grace-period", "50s", "10s"),
        ("reaction: fast", "kubernetes.reaction: default-not-ready-toleration-seconds", "300", "20"),
        (
            "node_monitor_grace_seconds: 90",
            "kubernetes.node_monitor_grace_seconds: node-monitor-grace-period",
            "50s",
            "90s",
        ),
    ],
)
def test_a_field_that_can_be_changed_names_reconfigure(
    lives: World, setting: str, field: str, living: str, wanted: str
) -> None:
    said = refused(lives, with_kubernetes(setting))
    assert f"{field}: the cluster has {living}, the file says {wanted} (" in said.message
    assert said.next_step == "invoke reconfigure"


def test_c45_times_of_the_balancer_are_no_property_of_the_cluster(lives: World) -> None:
    lives.inventory = inventory(f"{INVENTORY}load_balancer: {{timeout_idle_seconds: 1800}}\n")
    made = lives.build()
    steps = [step for step in listed(operation.steps(made)) if step.will]
    made.run.close()
    assert [(step.subject, step.will) for step in steps] == [
        ("haproxy", ("write /etc/haproxy/haproxy.cfg; then reload haproxy",))
    ]


def test_reaction_fast_back_to_default_is_refused(world: World) -> None:
    """F1: kubelets would renew their leases every 10 s, and be called dead after 10."""
    world.inventory = inventory(with_kubernetes("reaction: fast"))
    made = world.build()
    made.engine.execute(operation.steps(made))
    made.run.close()
    world.provider.log.clear()
    world.api.applied.clear()
    world.kubeadm_runs.clear()
    for host in world.hosts.values():
        host.ran.clear()
    said = refused(world, INVENTORY)
    assert (
        "kubernetes.reaction: node-monitor-grace-period: the cluster has 10s, the file says 50s"
        in said.message
    )


BALANCER = "or start again: invoke destroy, then invoke build"
MASTER = (
    "or, before an address changes in the file: invoke destroy --host master-2; afterwards invoke build, "
    "then invoke reconfigure"
)
WORKER = "or, before an address changes in the file: invoke destroy --host worker-1; afterwards invoke build"
MOVED = [
    ("haproxy", "10.1.1.50", "10.1.1.60", BALANCER),
    ("master-2", "10.1.1.12", "10.1.1.22", MASTER),
    ("worker-1", "10.1.1.31", "10.1.1.41", WORKER),
]


@pytest.mark.parametrize(("name", "before", "after", "way"), MOVED)
def test_c45_an_address_is_refused(lives: World, name: str, before: str, after: str, way: str) -> None:
    said = refused(lives, INVENTORY.replace(before, after))
    assert before in said.message
    assert after in said.message
    back = f"write the cluster's value of hosts.{name}.address back into the file"
    assert said.next_step == f"{back}; {way}"


def test_a_name_that_goes_with_no_address_asks_for_reconfigure_beside_it(lives: World) -> None:
    for name in lives.inventory.masters:
        lives.hosts[name].names -= {"haproxy"}
    said = refused(lives, INVENTORY.replace("10.1.1.12", "10.1.1.22"))
    assert said.next_step.endswith("afterwards invoke build; then invoke reconfigure (hosts)")


def test_a_master_that_moved_as_told_leaves_the_others_without_its_name(lives: World) -> None:
    lives.lose("master-2")
    del lives.api.objects["/api/v1/nodes/master-2"]
    lives.inventory = inventory(INVENTORY.replace("10.1.1.12", "10.1.1.22"))
    made = lives.build()
    made.engine.execute(operation.steps(made))
    made.run.close()
    again = lives.build()
    with pytest.raises(
        PreflightError, match=r"certificate names: the certificate lacks 10\.1\.1\.22, "
    ) as told:
        listed(operation.steps(again))
    again.run.close()
    assert told.value.next_step == "invoke reconfigure"


def test_the_version_says_that_nothing_upgrades_it(lives: World) -> None:
    born.upload(lives, born.configuration(lives) | {"kubernetesVersion": "v1.30.9"})
    said = refused(lives, INVENTORY)
    assert "kubernetes.version: kubernetesVersion: the cluster has v1.30.9" in said.message
    assert "no operation upgrades a living cluster yet" in said.next_step


def test_one_master_with_another_flag_is_named(lives: World) -> None:
    pods = lives.hosts["master-2"].pods
    key = "kube-controller-manager"
    pods[key] = [word.replace("period=50s", "period=10s") for word in pods[key]]
    said = refused(lives, INVENTORY)
    assert (
        "(kube-controller-manager of master-2; manifest of kube-controller-manager on master-2)"
        in said.message
    )


def test_a_silent_master_does_not_hide_the_others(lives: World) -> None:
    lives.ssh.on("master-1", "python3 -c", FailedError("master-1: not reachable by SSH: no route to host"))
    said = refused(lives, with_kubernetes("pod_subnet: 10.200.0.0/16"))
    assert "kube-controller-manager of master-2, master-3; manifest of" in said.message
    assert "of master-1" not in said.message


def test_a_cluster_whose_api_is_away_is_judged_by_its_manifests(lives: World) -> None:
    lives.api.answers = False
    said = refused(lives, with_kubernetes("pod_subnet: 10.200.0.0/16"))
    assert "manifest of kube-controller-manager on master-1" in said.message


def test_a_certificate_without_a_name_is_refused(lives: World) -> None:
    lives.hosts["master-3"].names -= {"haproxy"}
    said = refused(lives, INVENTORY)
    assert (
        "hosts: certificate names: the certificate lacks haproxy, which the file names "
        "(API server of master-3;" in said.message
    )
    assert said.next_step == "invoke reconfigure"


def test_a_further_name_of_the_api_is_no_build(lives: World) -> None:
    said = refused(lives, with_kubernetes("api_names: [k8s.home.arpa]"))
    assert (
        "kubernetes.api_names: certificate names: the certificate lacks k8s.home.arpa, which" in said.message
    )
    assert said.next_step == "invoke reconfigure"


def test_new_masters_are_no_difference_until_they_have_joined(lives: World) -> None:
    more = "".join(f"  master-{n}: {{role: control-plane, address: 10.1.1.1{n}}}\n" for n in (4, 5))
    lives.inventory = inventory(INVENTORY + more)
    made = lives.build()
    assert something_to_do(listed(operation.steps(made)))
    made.run.close()


def test_a_cluster_as_the_file_says_is_built_on(lives: World, changed: Context) -> None:
    assert not something_to_do(listed(operation.steps(changed)))
    assert unchanged(lives)


@pytest.mark.usefixtures("lives")
def test_what_could_not_be_asked_at_first_is_asked_before_the_cluster_is_touched(
    changed: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API comes back while hosts are converged: its documents are compared then."""
    answers = iter([False, True])
    monkeypatch.setattr("lab.steps.settled.judge", lambda *_: next(answers))
    changed.engine.execute(operation.steps(changed))
    assert list(answers) == []
