"""What a cluster was born with is changed: one master at a time, and no living node is called dead."""

from __future__ import annotations

import base64

import pytest
import yaml

from lab.checks import health
from lab.checks.verbs import Refused
from lab.cluster.kubeadm_flags import COMPONENTS
from lab.errors import FailedError, PlumblineError, PreflightError
from lab.hosts.settled import KUBE_PROXY
from lab.machines import State
from lab.operations import build as building
from lab.operations import reconfigure as operation
from lab.render.components import KUBELET_CONFIG, kubelet_settings
from lab.ssh import Result
from lab.steps import proxying
from lab.steps.engine import Step, StepsFailedError, listed, something_to_do
from lab.steps.operation import Operation
from lab.steps.settled import configuration
from tests import born
from tests.fakes import CONTAINERS, Call
from tests.world import INVENTORY, World, inventory

pytestmark = pytest.mark.usefixtures("healthy", "nothing_unplanned")

MASTERS = ("master-1", "master-2", "master-3")
ONE_MASTER = ["drain", "control-plane apiserver", "control-plane controller-manager", "ready"]


def sick(_: object) -> None:
    raise Refused("GET /readyz: connection refused")


def file(setting: str = "") -> str:
    return INVENTORY.replace("hosts:", f"kubernetes: {{{setting}}}\nhosts:") if setting else INVENTORY


def execute(world: World, text: str, done: Operation = operation.OPERATION) -> bool:
    world.inventory = inventory(text)
    made = world.build()
    try:
        return made.engine.execute(done.steps(made))
    finally:
        made.run.close()


def plan(world: World, text: str, of: Operation = operation.OPERATION) -> list[Step]:
    world.inventory = inventory(text)
    made = world.build()
    try:
        return listed(of.steps(made))
    finally:
        made.run.close()


def built(world: World, setting: str = "") -> World:
    """A lab that lives; each kubelet has the settings that kubeadm wrote."""
    execute(world, file(setting), building.OPERATION)
    settings = kubelet_settings(world.inventory, CONTAINERS)
    for name in world.inventory.nodes:
        world.hosts[name].write(KUBELET_CONFIG, yaml.safe_dump(settings), "0644", "root:root")
        world.hosts[name].ran.clear()
    world.events.clear()
    return world


def lease(world: World, name: str) -> int:
    text = base64.b64decode(world.hosts[name].files[KUBELET_CONFIG]["text"]).decode()
    return int(yaml.safe_load(text)["nodeLeaseDurationSeconds"])


def grace(world: World, name: str) -> str:
    line = " ".join(world.hosts[name].pods["kube-controller-manager"])
    return line.partition("--node-monitor-grace-period=")[2].partition(" ")[0]


@pytest.mark.parametrize(("before", "after"), [("", "reaction: fast"), ("reaction: fast", "")])
def test_all_masters_are_changed_one_after_the_other(world: World, before: str, after: str) -> None:
    built(world, before)
    assert execute(world, file(after))
    expected = [(name, what) for name in MASTERS for what in ONE_MASTER]
    assert world.events == [*expected, ("master-1", "upload-config kubeadm")]
    assert world.drained == set()
    assert not something_to_do(plan(world, file(after)))
    assert not something_to_do(plan(world, file(after), building.OPERATION))


@pytest.mark.parametrize(
    ("before", "after", "kubelets_first"), [("", "reaction: fast", True), ("reaction: fast", "", False)]
)
def test_a_node_renews_its_lease_within_the_grace_period_at_any_moment(
    world: World, before: str, after: str, kubelets_first: bool
) -> None:
    """F1: whatever fails in the middle, no kubelet renews more slowly than a controller manager allows."""
    built(world, before)

    def stops(call: Call) -> Result:
        assert "apiserver" in call.command
        return Result(1, "", "no space left on device")

    world.ssh.on("master-2", "kubeadm init phase", stops)
    with pytest.raises(StepsFailedError, match="no space left on device"):
        execute(world, file(after))
    slow, fast = 40, 8
    wanted = fast if kubelets_first or before else slow
    assert {lease(world, name) for name in world.inventory.nodes} == {wanted}
    assert {grace(world, name) for name in MASTERS} == {"10s", "50s"}


def test_the_first_broken_master_stops_it_and_is_back_in_the_rotation(world: World) -> None:
    built(world)
    world.ssh.on("master-2", "kubeadm init phase", FailedError("master-2: not reachable by SSH: gone"))
    with pytest.raises(StepsFailedError) as failed:
        execute(world, file("reaction: fast"))
    assert "master-2: not reachable" in failed.value.message
    assert "not done: master-3: control plane as the inventory says" in failed.value.message
    assert world.events[-2:] == [("master-2", "drain"), ("master-2", "ready")]
    assert (grace(world, "master-1"), grace(world, "master-3")) == ("10s", "50s")


def test_it_goes_on_where_it_was_killed(world: World) -> None:
    """kill -9 left master-1 done, master-2 with one of two manifests and drained."""
    built(world)
    fast = file("reaction: fast")
    world.inventory = inventory(fast)
    cluster = born.configuration(world)
    for name in ("master-1", "master-2"):
        document = configuration(world.build())
        parts = COMPONENTS if name == "master-1" else COMPONENTS[:1]
        world.hosts[name].pods |= {part: born.command(world, document, part, name) for part in parts}
    world.drained.add("master-2")
    assert born.configuration(world) == cluster
    assert execute(world, fast)
    half = ("ready", "drain", "control-plane controller-manager", "ready")
    one = [("master-2", what) for what in half]
    other = [("master-3", what) for what in ONE_MASTER]
    assert world.events == [*one, *other, ("master-1", "upload-config kubeadm")]
    assert not something_to_do(plan(world, fast))


def test_flags_of_a_patient_lab_go_when_it_is_patient_no_more(world: World) -> None:
    """What the file makes no more is taken away on the masters too, not only in kubeadm's ConfigMap."""
    built(world)
    patient = file().replace("lab: test", "lab: test\npatience: 3")
    assert execute(world, patient)
    said = {step.key: step.will for step in plan(world, file()) if step.will}
    assert "kube-apiserver: etcd-readycheck-timeout: 6s -> not set" in said["reconfigure:master-1"]
    assert (
        "kube-controller-manager: leader-elect-lease-duration: 45s -> not set" in said["reconfigure:master-1"]
    )
    assert execute(world, file())
    assert not any("etcd-readycheck" in word for word in world.hosts["master-3"].pods["kube-apiserver"])
    assert not something_to_do(plan(world, file()))


def test_a_master_that_was_left_drained_comes_back(world: World) -> None:
    built(world)
    world.drained.add("master-3")
    [will] = [step.will for step in plan(world, file()) if step.will]
    assert will == ("master-3 into the rotation of API servers again: it was left drained",)
    assert execute(world, file())
    assert (world.drained, world.events) == (set(), [("master-3", "ready")])
    assert not something_to_do(plan(world, file()))


def test_it_comes_back_although_the_lab_is_too_sick_to_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(world)
    world.drained.add("master-1")
    monkeypatch.setattr(health, "gate", sick)
    with pytest.raises(StepsFailedError, match="health of the lab: not within"):
        execute(world, file("reaction: fast"))
    assert (world.drained, world.events) == (set(), [("master-1", "ready")])


def test_certificates_get_their_missing_names_and_no_static_pod_is_touched(world: World) -> None:
    built(world)
    world.hosts["master-3"].names -= {"haproxy", "10.1.1.50"}
    will = [step.will for step in plan(world, file()) if step.will]
    assert will == [("certificate of the API server: 10.1.1.50, haproxy into its names",)]
    assert execute(world, file())
    assert world.events == [("master-3", what) for what in ("drain", "certs apiserver", "ready")]
    assert not something_to_do(plan(world, file()))


def test_a_further_name_of_the_api_is_brought_into_every_certificate(world: World) -> None:
    built(world)
    changed = file("api_names: [k8s.home.arpa]")
    assert execute(world, changed)
    steps = ("drain", "certs apiserver", "ready")
    assert world.events == [
        *((name, what) for name in world.inventory.masters for what in steps),
        ("master-1", "upload-config kubeadm"),
    ]
    assert all("k8s.home.arpa" in world.hosts[name].names for name in world.inventory.masters)
    assert not something_to_do(plan(world, changed))
    assert not something_to_do(plan(world, changed, building.OPERATION))
    assert not something_to_do(plan(world, file())), "one that leaves the file lets nobody in"


def test_the_mode_of_kube_proxy_is_changed_and_its_pods_are_restarted(world: World) -> None:
    built(world)
    changed = file("proxy_mode: nftables")
    assert execute(world, changed)
    held = world.api.objects[KUBE_PROXY]
    assert yaml.safe_load(held["data"]["config.conf"])["mode"] == "nftables"
    assert "kubeconfig.conf" in held["data"]
    pods = world.api.objects[proxying.PODS]["spec"]["template"]["metadata"]["annotations"]
    assert pods == held["metadata"]["annotations"]
    assert world.events == [], "no master is touched"
    assert not something_to_do(plan(world, changed))


def test_a_restart_of_kube_proxy_that_is_owed_is_made(world: World) -> None:
    built(world)
    changed = file("proxy_mode: nftables")
    execute(world, changed)
    world.api.objects[proxying.PODS]["spec"]["template"]["metadata"]["annotations"] = {}
    assert [step.will[0] for step in plan(world, changed) if step.will] == [
        "kube-proxy: finish its change to nftables"
    ]
    assert execute(world, changed)
    assert not something_to_do(plan(world, changed))


def test_the_plan_says_what_is_changed_where(world: World) -> None:
    built(world)
    said = {step.key: step.will for step in plan(world, file("node_monitor_grace_seconds: 90")) if step.will}
    change = "node-monitor-grace-period: 50s -> 90s"
    assert said == {
        **{f"reconfigure:{name}": (f"kube-controller-manager: {change}",) for name in MASTERS},
        "kubeadm-config": (f"ConfigMap kubeadm-config: {change}",),
    }
    assert world.events == []


def refused(world: World, text: str) -> PlumblineError:
    with pytest.raises(PreflightError) as planned:
        plan(world, text)
    with pytest.raises(PreflightError):
        execute(world, text)
    assert world.events == []
    return planned.value


def test_what_needs_a_new_cluster_is_refused_here_too(world: World) -> None:
    built(world)
    said = refused(world, file("pod_subnet: 10.200.0.0/16, reaction: fast"))
    assert "kubernetes.pod_subnet" in said.message
    assert "kubernetes.reaction" not in said.message


def test_without_a_cluster_there_is_nothing_to_change(world: World) -> None:
    said = refused(world, file("reaction: fast"))
    assert (said.message, said.next_step) == ("test: no cluster lives, so none is changed", "invoke build")


def test_a_lab_that_is_not_whole_is_refused(world: World) -> None:
    built(world)
    world.switch_off("worker-2")
    said = refused(world, file("reaction: fast"))
    assert "worker-2: not running" in said.message
    world.provider.states["worker-2"] = State.RUNNING
    kubelet = world.hosts["master-2"].units["kubelet.service"]
    kubelet["active"] = "inactive"  # a machine that is shutting down still answers
    said = refused(world, file("reaction: fast"))
    assert "master-2: not running, or not at work in the cluster" in said.message
    kubelet["active"] = "active"
    world.ssh.on("master-3", "python3 -c", FailedError("master-3: not reachable by SSH: gone"))
    said = refused(world, file("reaction: fast"))
    assert "master-3: no part of a cluster, or no answer" in said.message
    assert "not reachable by SSH: gone" in said.message


def test_a_sick_lab_is_not_touched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    built(world)
    monkeypatch.setattr(health, "gate", sick)
    with pytest.raises(StepsFailedError, match="health of the lab: not within"):
        execute(world, file("node_monitor_grace_seconds: 90"))
    assert world.events == []
