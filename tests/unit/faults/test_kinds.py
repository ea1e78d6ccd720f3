"""Every kind of fault: what it tells a host, that it can be undone twice, and when it cannot be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.errors import CommandError, FailedError, InputError, PreflightError
from lab.faults import on_host, power
from lab.faults.catalogue import KINDS, fault, hosts_for, offers
from lab.faults.kinds import Kind
from lab.faults.on_host import NOTHING, ONE_AT_A_TIME, SWITCH, OnHost, undoing
from lab.faults.processes import OfProcess
from lab.labs import Lab
from lab.machines import State
from lab.ssh import Result
from tests.fakes import FakeClock, FakeProvider, FakeSsh
from tests.soon import SOON
from tests.world import INVENTORY, inventory


@dataclass
class World:
    lab: Lab
    ssh: FakeSsh
    provider: FakeProvider


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(power, "forget", lambda *_: None)
    monkeypatch.setattr(power, "FLAP_SECONDS", 0.0)
    found = inventory(INVENTORY + "disposable: true\n")
    provider = FakeProvider(states=dict.fromkeys(found.hosts, State.RUNNING), prepared=True)
    ssh = FakeSsh()
    ssh.on("", "", "")
    return World(Lab(found, tmp_path, provider, ssh=ssh), ssh, provider)


ON_HOST = [kind for kind in KINDS.values() if isinstance(kind, OnHost)]
POWER = [kind for kind in KINDS.values() if not isinstance(kind, OnHost)]


@pytest.mark.parametrize("kind", ON_HOST, ids=lambda kind: kind.name)
def test_scripts_are_shell_and_the_switch_is_set_first(world: World, kind: OnHost) -> None:
    made = fault(world.lab, kind.name)
    made.inject(world.lab)
    made.heal(world.lab)
    made.heal(world.lab)
    scripts = [command for _, command in world.ssh.commands()]
    assert {host for host, _ in world.ssh.commands()} == {made.host}
    for script in [*scripts, kind.needs]:
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    if kind.end is NOTHING:
        assert scripts == [ONE_AT_A_TIME + kind.begin(world.lab, made.host)]
        return
    switch, begin, *ends = scripts
    assert f"--unit {SWITCH} --on-active={kind.seconds:g}s" in switch
    assert world.ssh.calls[0].stdin == ONE_AT_A_TIME + kind.end(world.lab, made.host)
    assert begin == ONE_AT_A_TIME + kind.begin(world.lab, made.host)
    assert len(ends) == 2
    assert all(kind.end(world.lab, made.host) in end and f"stop {SWITCH}.timer" in end for end in ends)


@pytest.mark.parametrize("kind", POWER, ids=lambda kind: kind.name)
def test_power_comes_back(world: World, kind: Kind) -> None:
    made = fault(world.lab, kind.name)
    made.inject(world.lab)
    assert world.provider.log
    made.heal(world.lab)
    assert set(world.provider.states.values()) == {State.RUNNING}
    done = len(world.provider.log)
    made.heal(world.lab)
    assert len(world.provider.log) == done


def test_two_masters_are_two(world: World) -> None:
    fault(world.lab, "two-masters-off", "master-3").inject(world.lab)
    off = {name for name, state in world.provider.states.items() if state is State.OFF}
    assert off == {"master-3", "master-1"}


def test_everything_is_everything(world: World) -> None:
    fault(world.lab, "all-off").inject(world.lab)
    assert set(world.provider.states.values()) == {State.OFF}


def test_a_stopped_process_goes_on_even_if_it_was_replaced(world: World) -> None:
    kind = KINDS["stop-kubelet"]
    assert isinstance(kind, OnHost)
    # the process's name is one that no process here has
    script = kind.end(world.lab, "worker-1").replace("kubelet", "no-such-process")
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 0


def test_every_name_is_told_apart_by_the_kernels_15_characters() -> None:
    from lab.faults.processes import COMPONENTS

    assert all(len(item.process) <= 15 for item in COMPONENTS)
    assert len({item.process for item in COMPONENTS}) == len(COMPONENTS)


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith("cut-")])
def test_a_partition_leaves_the_harness_its_way_in(world: World, name: str) -> None:
    made = fault(world.lab, name)
    kind = made.kind
    assert isinstance(kind, OnHost)
    rules = kind.begin(world.lab, made.host)
    assert f"{world.lab.inventory.network.gateway} " not in rules.replace(",", " ")
    verdicts = [line for line in rules.splitlines() if line.endswith(("drop", "reject", "reset"))]
    assert all("addr" in line or "port 6443" in line for line in verdicts)
    assert len(verdicts) == {"inward": 1, "outward": 1, "refused": 4}.get(name.rpartition("-")[2], 2)
    assert ("hook input" in rules) is not name.endswith("outward")
    assert ("hook output" in rules) is not name.endswith("inward")


@pytest.mark.skipif(not shutil.which("nft"), reason="no nft on this machine")
@pytest.mark.parametrize("name", ["cut-peers", "cut-peers-refused", "cut-clients-inward", "lose-peers"])
def test_nft_takes_the_rules(world: World, name: str) -> None:
    made = fault(world.lab, name)
    assert isinstance(made.kind, OnHost)
    rules = made.kind.begin(world.lab, made.host)
    # in a network namespace of its own, where they rule nothing
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", rules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_a_card_that_was_down_has_its_routes_again(world: World, tmp_path: Path) -> None:
    """The kernel forgets those by a gateway, and not every host has somebody who knows them."""
    kind = KINDS["nic-down"]
    assert isinstance(kind, OnHost)
    (tmp_path / "systemd-run").write_text('#!/bin/sh\nexec sh -c "$5"\n')
    (tmp_path / "systemd-run").chmod(0o755)
    end = undoing(kind.end(world.lab, "worker-2"))
    steps = [
        "ip link add eth0 type veth peer name peer0 && ip link set peer0 up && ip link set eth0 up\n"
        "ip address add 10.1.1.32/24 dev eth0 && ip route add default via 10.1.1.1 && ip route >before",
        kind.begin(world.lab, "worker-2"),
        "ip route >down",
        *(end, "ip route >after", end, "ip route >again"),
    ]
    for number, step in enumerate(steps):
        (tmp_path / f"{number}.sh").write_text(step.replace("/run/plumbline", f"{tmp_path}/plumbline"))
    subprocess.run(
        ["unshare", "--net", "sh", "-ec", f"for n in $(seq 0 {len(steps) - 1}); do sh $n.sh; done"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
    )
    before, down, after, again = (
        sorted((tmp_path / name).read_text().splitlines()) for name in ("before", "down", "after", "again")
    )
    assert len(before) == 2
    assert down == []
    assert after == again == before
    assert not list(tmp_path.glob("plumbline-card")) + list(tmp_path.glob("plumbline-routes"))


def test_healing_waits_for_a_host_that_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr("lab.waits.time", clock)
    answers: Iterator[Exception | Result] = iter(
        [FailedError("worker-2: not reachable by SSH"), Result(1, "", "busy"), Result(0, "", "")]
    )
    world.ssh.on("worker-2", "stop plumbline-heal.timer", lambda _: next(answers))
    fault(world.lab, "nic-down").heal(world.lab)
    assert clock.naps == 2
    assert on_host.PATIENCE > 0


@pytest.mark.parametrize(("end", "code", "stopped"), [("set -e\nfalse\ntrue", 1, False), ("exit 0", 0, True)])
def test_a_healing_ends_at_its_first_failure_and_the_switch_stays(
    tmp_path: Path, end: str, code: int, stopped: bool
) -> None:
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\ntouch {tmp_path}/stopped\n")
    (tmp_path / "systemctl").chmod(0o755)
    script = undoing(end).replace("/run/", f"{tmp_path}/")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["sh", "-c", script], env=path, check=False).returncode == code
    assert (tmp_path / "stopped").exists() is stopped


def test_two_healings_wait_for_each_other(tmp_path: Path) -> None:
    """The host's own and the harness's: each would take away what the other puts back."""
    log = tmp_path / "log"
    end = f"echo begin >>{log}\nsleep 0.2\necho end >>{log}"
    script = undoing(end).replace("/run/", f"{tmp_path}/").replace("systemctl", "true")
    both = [subprocess.Popen(["sh", "-c", script]) for _ in range(2)]
    assert [process.wait(SOON) for process in both] == [0, 0]
    assert log.read_text().split() == ["begin", "end"] * 2


def test_a_kill_without_a_victim_is_an_error(world: World) -> None:
    world.ssh.on("", "pkill -KILL", Result(1, "", ""))
    with pytest.raises(CommandError, match="pkill -KILL -x etcd"):
        fault(world.lab, "kill-etcd").inject(world.lab)


def test_what_the_kernel_cannot_do_is_refused_with_the_reason(world: World) -> None:
    world.ssh.on("", "netem", Result(2, "", "Specified qdisc kind is unknown"))
    with pytest.raises(
        PreflightError, match="delay of master-3: not available here: its kernel has no netem"
    ):
        fault(world.lab, "delay").available(world.lab)
    reasons = {offer.kind.name: offer.reason for offer in offers(world.lab) if offer.reason}
    of_others = {name for name, reason in reasons.items() if reason.endswith("is not a part of this lab")}
    assert {name: reasons[name] for name in reasons.keys() - of_others} == {
        "delay": "its kernel has no netem queueing discipline"
    }


def test_a_program_of_an_add_on_that_the_lab_has_not_is_no_victim(world: World) -> None:
    kind = KINDS["kill-speaker"]
    assert isinstance(kind, OfProcess)
    assert kind.addon
    assert kind.unavailable(world.lab, "worker-1") == ""
    other = replace(kind, addon=kind.addon.model_copy(update={"section": "other"}))
    assert other.unavailable(world.lab, "worker-1") == "MetalLB is not a part of this lab"


def test_a_fault_for_masters_does_not_hit_a_worker(world: World) -> None:
    with pytest.raises(PreflightError, match="its role is worker; this fault is for control-plane"):
        fault(world.lab, "kill-etcd", "worker-1").available(world.lab)


@pytest.mark.parametrize(
    ("name", "seconds", "said"), [("sneeze", 0, "no such fault"), ("freeze", -1, "more than 0")]
)
def test_a_wrong_wish_is_named(world: World, name: str, seconds: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        fault(world.lab, name, seconds=seconds)


def test_names_are_unique_and_every_kind_has_a_host(world: World) -> None:
    from lab.faults.catalogue import FAMILIES

    assert len(KINDS) == sum(len(family.KINDS) for family in FAMILIES)
    assert all(hosts_for(world.lab, kind) for kind in KINDS.values())
