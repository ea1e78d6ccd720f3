"""Machines: what they are made of, how they come to run, and when a boot has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.errors import CommandError, DeadlineError, FailedError, PreflightError
from lab.inventory.providers import ProviderName
from lab.labs import Lab
from lab.machines import Blocker, State
from lab.steps import machines
from lab.steps.context import Context
from lab.steps.engine import Stopped
from lab.steps.preflight import preflight, states
from tests.fakes import Call, FakeClock
from tests.world import World


def test_a_machine_has_the_size_and_address_of_the_inventory(context: Context) -> None:
    made = machines.machine(context, "haproxy")
    assert (made.cpus, made.memory_mib, made.disk_gib) == (2, 2048, 20)
    assert str(made.interface) == "10.1.1.50/24"
    assert made.mac == context.lab.inventory.mac("haproxy")
    assert set(made.cloud_init) == {"user-data", "meta-data", "network-config"}


def test_only_a_kubernetes_node_gets_the_volumes_of_containerd_kubelet_and_etcd(context: Context) -> None:
    assert machines.machine(context, "haproxy").volumes == ()
    volumes = {volume.path: volume for volume in machines.machine(context, "worker-1").volumes}
    assert set(volumes) == {"/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd"}
    images = volumes["/var/lib/containerd"]
    assert images.seed == context.artefacts.containerd_root
    assert images.private, "databases that are written to must not be shared"
    assert volumes["/var/lib/etcd"].seed is None


@pytest.mark.parametrize(
    ("state", "done"),
    [
        (State.ABSENT, [("create", "worker-1")]),
        (State.OFF, [("on", "worker-1")]),
        (State.PAUSED, [("resume", "worker-1")]),
        (State.RUNNING, []),
    ],
)
def test_a_machine_is_made_switched_on_or_resumed_as_it_needs(
    world: World, context: Context, state: State, done: list[tuple[str, str]]
) -> None:
    world.provider.states["worker-1"] = state
    assert machines.start(context, "worker-1") == bool(done)
    assert world.provider.log == done


def test_a_foreign_machine_of_our_name_is_refused(world: World, context: Context) -> None:
    world.provider.states["worker-1"] = State.FOREIGN
    with pytest.raises(PreflightError, match="worker-1"):
        machines.start(context, "worker-1")


def booting(world: World, *answers: str | Exception) -> list[int]:
    """What the host says to each look of the wait, the last one for ever; how often it was asked."""
    world.provider.states["master-1"] = State.RUNNING
    asked = [0]

    def answer(_: Call) -> str | Exception:
        asked[0] += 1
        return answers[min(asked[0], len(answers)) - 1]

    world.ssh.on("master-1", "cat /run/cloud-init/result.json", answer)
    return asked


NOT_REACHABLE = FailedError("master-1: not reachable by SSH: Connection refused")
NO_FILE = CommandError("master-1", "cat", 1, "No such file or directory")
ENDED = json.dumps({"v1": {"datasource": "NoCloud", "errors": []}})


def test_c11_a_boot_is_waited_for_until_cloud_init_has_ended(world: World, context: Context) -> None:
    hangs = DeadlineError("master-1: `cat`", 20, "still running")
    asked = booting(world, NOT_REACHABLE, hangs, NO_FILE, NO_FILE, ENDED)
    machines.booted(context, "master-1")
    assert asked == [5]


def test_c11_an_error_of_cloud_init_ends_the_wait_at_once_with_its_text(
    world: World, context: Context
) -> None:
    asked = booting(world, NO_FILE, json.dumps({"v1": {"errors": ["('scripts_user', RuntimeError())"]}}))
    with pytest.raises(FailedError, match=r"master-1: cloud-init failed: .*scripts_user") as failed:
        machines.booted(context, "master-1")
    assert asked == [2]
    assert "invoke logs" in failed.value.next_step


NOTE = "Module ntp: enabled is deprecated"


def stages(note: str = "", error: str = "") -> str:
    """What cloud-init says of its stages, behind its result."""
    final = {"errors": [error] if error else [], "recoverable_errors": {"DEPRECATED": [note]} if note else {}}
    told: dict[str, Any] = {
        "stage": None,
        "init": {"errors": [], "recoverable_errors": {}},
        "modules-final": final,
    }
    return json.dumps({"v1": told})


def test_c11_a_remark_of_cloud_init_is_told_and_no_failure(world: World, context: Context) -> None:
    """Its own program would end with 2, as it does for an error, and for stages that still run."""
    booting(world, f"{ENDED}\n{stages(NOTE)}")
    [step] = [machines.booting(context, "master-1")]
    assert step.run() == (False, f"cloud-init, modules-final: DEPRECATED: {NOTE}")


def test_c11_stages_that_still_run_are_waited_for_whatever_they_remark(
    world: World, context: Context
) -> None:
    asked = booting(world, NO_FILE, NO_FILE, ENDED[:20], f"{ENDED}\n{stages()}")
    assert machines.booted(context, "master-1") == ""
    assert asked == [4]


def test_c11_an_error_has_its_stage_and_the_path_of_the_log(world: World, context: Context) -> None:
    failed = json.dumps({"v1": {"errors": ["no such program"]}})
    booting(world, f"{failed}\n{stages(error='no such program')}")
    with pytest.raises(FailedError, match="master-1: cloud-init failed: modules-final: no such") as told:
        machines.booted(context, "master-1")
    assert told.value.next_step == "invoke logs --host master-1; on the machine: /var/log/cloud-init.log"


def test_a_machine_that_stops_while_it_boots_is_hopeless(world: World, context: Context) -> None:
    booting(world, NOT_REACHABLE)
    world.provider.states["master-1"] = State.OFF
    with pytest.raises(FailedError, match="is off while it should boot"):
        machines.booted(context, "master-1")


def test_a_machine_that_is_paused_while_it_boots_is_called_paused(world: World, context: Context) -> None:
    booting(world, NOT_REACHABLE)
    world.provider.states["master-1"] = State.PAUSED
    with pytest.raises(FailedError, match="master-1: was paused while it booted") as failed:
        machines.booted(context, "master-1")
    assert "invoke build" in failed.value.next_step


def test_c11_a_boot_that_never_ends_tells_host_deadline_and_last_state(
    world: World, context: Context, clock: FakeClock
) -> None:
    booting(world, NOT_REACHABLE)
    begun, words = clock.now, r"boot of master-1: not within 240 s; .*Connection refused"
    with pytest.raises(DeadlineError, match=words) as late:
        machines.booted(context, "master-1")
    assert late.value.message.endswith("\n    console of master-1")
    assert clock.now - begun == pytest.approx(machines.BOOT_SECONDS, abs=1)


def test_a_boot_is_left_when_the_build_is_stopped(world: World, context: Context) -> None:
    booting(world, NOT_REACHABLE)
    context.engine.stop.set()
    with pytest.raises(Stopped):
        machines.booted(context, "master-1")


def test_preflight_counts_only_machines_that_do_not_run(world: World, context: Context) -> None:
    world.provider.states = {"haproxy": State.RUNNING, "master-1": State.OFF}
    assert preflight(context.lab) == (5, [])
    asked = [name for verb, name in world.provider.log if verb == "preflight"]
    assert asked == ["master-1", "master-2", "master-3", "worker-1", "worker-2"]
    assert states(context.lab)["worker-1"] is State.ABSENT


def test_preflight_tells_every_problem_at_once_and_its_cure(world: World, context: Context) -> None:
    world.provider.problems = [
        Blocker("memory", "2 GiB free", "40 GiB", "stop something"),
        Blocker("fs.inotify.max_user_instances", "128", "8192", "sysctl -w ..."),
    ]
    with pytest.raises(PreflightError) as refused:
        preflight(context.lab)
    assert "memory: 2 GiB free; wanted: 40 GiB; fix: stop something" in refused.value.message
    assert "fs.inotify.max_user_instances: 128; wanted: 8192" in refused.value.message
    assert refused.value.exit_code == 3


def test_a_lab_that_runs_needs_no_preflight(world: World, context: Context) -> None:
    world.provider.problems = [Blocker("memory", "none", "some", "buy")]
    world.provider.states = dict.fromkeys(context.lab.inventory.hosts, State.RUNNING)
    assert preflight(context.lab) == (0, [])


def test_a_warning_of_preflight_stops_nobody(world: World, context: Context) -> None:
    warning = Blocker("operating system", "Minix 3", "Debian 12", "go on", stops=False)
    world.provider.problems = [warning]
    assert preflight(context.lab) == (6, [warning])
    world.provider.problems = [warning, Blocker("memory", "none", "some", "buy")]
    with pytest.raises(PreflightError) as refused:
        preflight(context.lab)
    assert "Minix" not in refused.value.message


def test_a_machine_that_exists_may_never_have_had_cloud_init(up: World, context: Context) -> None:
    worker = up.inventory.hosts["worker-1"].model_copy(update={"provider": ProviderName("static")})
    hosts = {**up.inventory.hosts, "worker-1": worker}
    context.lab = Lab(
        up.inventory.model_copy(update={"hosts": hosts}), context.lab.root, up.provider, ssh=up.ssh
    )
    up.ssh.on("worker-1", "if test -d /run/cloud-init;", '{"v1": {"errors": []}}')
    machines.booted(context, "worker-1")
    assert up.ssh.commands("else echo")
