"""From facts to decisions: the truth table, and that no second cluster is ever founded beside a live one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import FailedError, PreflightError
from lab.hosts.converge import ETCD_DATA, EVIDENCE, KUBELET_CONF, HostFacts
from lab.inventory.models import Inventory
from lab.machines import State
from lab.render.bundle import Bundle, bundle, pins
from lab.steps.context import LabFacts
from lab.steps.decide import Decision, Origin, decide, founding_master
from tests.fake_host import FakeHost
from tests.fakes import CONTAINERS
from tests.world import inventory


@dataclass(frozen=True)
class Seen:
    """How one host is found."""

    state: State
    evidence: tuple[str, ...] = ()
    unit: str = "inactive"


ABSENT = Seen(State.ABSENT)
OFF = Seen(State.OFF)
PAUSED = Seen(State.PAUSED)
BLANK = Seen(State.RUNNING)
JOINED = Seen(State.RUNNING, EVIDENCE)
FAILED = Seen(State.RUNNING, (KUBELET_CONF, ETCD_DATA), "failed")
AT_WORK = Seen(State.RUNNING, (), "activating")
CUT_OFF = Seen(State.RUNNING, (ETCD_DATA,))
ALL = (ABSENT, OFF, PAUSED, BLANK, JOINED, FAILED, AT_WORK, CUT_OFF)
BEGUN = (FAILED, AT_WORK, CUT_OFF)


@cache
def lab() -> Inventory:
    return inventory()


@cache
def bundles() -> dict[str, Bundle]:
    return {name: bundle(lab(), CONTAINERS, pins(lab()), name) for name in lab().hosts}


@cache
def as_rendered(name: str) -> FakeHost:
    """A host on which everything is as its bundle says."""
    wanted, host = bundles()[name], FakeHost()
    for file in wanted.files:
        host.write(file.path, file.text, file.mode, file.owner)
    host.sysctls = dict(wanted.sysctls)
    host.units = {unit.name: {"active": "active", "enabled": "enabled"} for unit in wanted.units}
    return host


@cache
def host_facts(name: str, seen: Seen) -> HostFacts:
    wanted = bundles()[name]
    answer = as_rendered(name).answer(
        {
            "files": [file.path for file in wanted.files],
            "sysctls": list(wanted.sysctls),
            "units": [unit.name for unit in wanted.units],
            "exists": [],
            "written": [],
            "payload": None,
        }
    )
    answer["units"]["plumbline-kubeadm.service"] = {"active": seen.unit, "enabled": ""}
    return HostFacts(**answer | {"exists": {path: path in seen.evidence for path in EVIDENCE}})


def facts(
    masters: tuple[Seen, Seen, Seen], workers: tuple[Seen, Seen] = (BLANK, BLANK), balancer: Seen = BLANK
) -> LabFacts:
    found = dict(zip(("haproxy", *lab().nodes), (balancer, *masters, *workers), strict=True))
    return LabFacts(
        {name: seen.state for name, seen in found.items()},
        {name: host_facts(name, seen) for name, seen in found.items() if seen.state is State.RUNNING},
    )


def decided(
    masters: tuple[Seen, Seen, Seen], workers: tuple[Seen, Seen] = (BLANK, BLANK), balancer: Seen = BLANK
) -> dict[str, Decision]:
    return decide(lab(), bundles(), facts(masters, workers, balancer))


def wanted(item: Decision) -> bool:
    """Whether anything is to be done about a host."""
    runs = item.state is State.RUNNING
    return not runs or bool(item.host or item.resize or item.leftover) or item.cluster is not Origin.NONE


def origins(decisions: dict[str, Decision]) -> dict[str, str]:
    return {name: item.cluster.name.lower() for name, item in decisions.items()}


def test_a_fresh_lab_is_founded_by_the_first_master() -> None:
    found = decided((ABSENT,) * 3, (ABSENT,) * 2, ABSENT)
    assert origins(found) == {
        "haproxy": "none",
        "master-1": "init",
        "master-2": "join",
        "master-3": "join",
        "worker-1": "join",
        "worker-2": "join",
    }
    assert {item.state for item in found.values()} == {State.ABSENT}


def test_a_finished_lab_needs_nothing() -> None:
    found = decided((JOINED,) * 3, (JOINED,) * 2)
    assert not any(wanted(item) for item in found.values())


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_deleted_master_joins_and_never_founds_again_the_first_included(lost: int) -> None:
    masters = [JOINED, JOINED, JOINED]
    masters[lost] = ABSENT
    found = decided((masters[0], masters[1], masters[2]), (JOINED, JOINED))
    assert origins(found)[f"master-{lost + 1}"] == "join"
    assert "init" not in origins(found).values()


def test_one_living_master_is_enough_to_be_joined() -> None:
    found = decided((ABSENT, BLANK, JOINED), (ABSENT, FAILED))
    assert set(origins(found).values()) == {"none", "join"}
    assert origins(found)["master-3"] == "none"


@pytest.mark.parametrize("masters", [(ABSENT,) * 3, (BLANK,) * 3, (FAILED, ABSENT, BLANK)])
def test_a_lost_control_plane_under_living_workers_is_refused(masters: tuple[Seen, Seen, Seen]) -> None:
    with pytest.raises(FailedError, match="worker-2 is: the control plane is lost") as refused:
        decided(masters, (BLANK, JOINED))
    assert "invoke destroy" in refused.value.next_step


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_master_on_which_an_init_has_begun_goes_on_with_it(begun: Seen, where: int) -> None:
    masters = [BLANK, ABSENT, BLANK]
    masters[where] = begun
    found = decided((masters[0], masters[1], masters[2]))
    founder = found[f"master-{where + 1}"]
    assert founder.cluster is Origin.INIT
    assert founder.leftover


def test_a_half_finished_join_is_a_leftover_and_joins() -> None:
    found = decided((JOINED, FAILED, JOINED), (CUT_OFF, JOINED))
    assert found["master-2"].leftover
    assert found["master-2"].cluster is Origin.JOIN
    assert found["worker-1"].leftover
    assert not found["worker-2"].leftover


@pytest.mark.parametrize("hidden", [OFF, PAUSED])
def test_nothing_is_founded_while_a_machine_is_off_that_might_hold_the_cluster(hidden: Seen) -> None:
    for masters, workers in [
        ((hidden, BLANK, BLANK), (BLANK, BLANK)),
        ((ABSENT, ABSENT, hidden), (ABSENT, ABSENT)),
        ((BLANK, FAILED, BLANK), (hidden, BLANK)),
        ((hidden, hidden, hidden), (JOINED, JOINED)),
    ]:
        assert "init" not in origins(decided(masters, workers)).values()


def test_a_machine_that_is_off_is_switched_on_and_judged_when_it_runs() -> None:
    found = decided((OFF, JOINED, JOINED), (PAUSED, JOINED), OFF)
    assert (found["master-1"].state, found["worker-1"].state) == (State.OFF, State.PAUSED)
    for name in ("master-1", "worker-1", "haproxy"):
        assert (found[name].host, found[name].cluster) == ((), Origin.NONE)


def test_a_balancer_that_is_off_holds_no_cluster() -> None:
    assert founding_master(lab(), facts((BLANK, BLANK, BLANK), balancer=OFF)) == "master-1"


def test_a_balancer_never_joins_a_cluster() -> None:
    for seen in (ABSENT, OFF, BLANK):
        assert decided((JOINED,) * 3, (JOINED,) * 2, seen)["haproxy"].cluster is Origin.NONE


@pytest.mark.parametrize("where", ["haproxy", "master-1", "worker-2"])
def test_a_machine_that_is_not_ours_stops_every_decision(where: str) -> None:
    found = facts((JOINED,) * 3, (JOINED,) * 2)
    states = found.states | {where: State.FOREIGN}
    hosts = {name: seen for name, seen in found.hosts.items() if name != where}
    with pytest.raises(PreflightError, match=f"{where}: exists and does not carry the mark of test"):
        decide(lab(), bundles(), LabFacts(states, hosts))


def test_a_change_that_an_earlier_run_still_owes_is_a_part_of_the_plan() -> None:
    found = facts((JOINED,) * 3, (JOINED,) * 2)
    owing = found.hosts["haproxy"].model_copy(update={"pending": [["systemctl", "reload", "haproxy"]]})
    decisions = decide(lab(), bundles(), LabFacts(found.states, found.hosts | {"haproxy": owing}))
    [change] = decisions["haproxy"].host
    assert change.sentence == "finish what an earlier run began: systemctl reload haproxy"


def judged(masters: tuple[Seen, ...], workers: tuple[Seen, ...]) -> str | None:
    """The founder, or "refused"."""
    try:
        return founding_master(lab(), facts(masters, workers))  # type: ignore[arg-type]
    except FailedError:
        return "refused"


def test_no_founder_beside_any_evidence_of_a_cluster() -> None:
    """Every combination of three masters, each beside every kind of worker."""
    for masters in product(ALL, repeat=3):
        for worker in ALL:
            founder = judged(masters, (worker, BLANK))
            everyone = (*masters, worker)
            if founder == "refused":
                assert JOINED not in masters
                assert worker == JOINED
                continue
            if JOINED in everyone or OFF in everyone or PAUSED in everyone:
                assert founder is None, (masters, worker)
                continue
            assert founder is not None
            begun = [name for name, seen in zip(lab().masters, masters, strict=True) if seen in BEGUN]
            assert founder == (begun[0] if begun else "master-1"), (masters, worker)


@settings(deadline=None)  # a busy machine is no defect
@given(
    masters=st.tuples(*[st.sampled_from(ALL)] * 3),
    workers=st.tuples(*[st.sampled_from(ALL)] * 2),
    balancer=st.sampled_from([ABSENT, OFF, PAUSED, BLANK]),
)
def test_decisions_hold_together_whatever_is_found(
    masters: tuple[Seen, Seen, Seen], workers: tuple[Seen, Seen], balancer: Seen
) -> None:
    if judged(masters, workers) == "refused":
        return
    found = decided(masters, workers, balancer)
    everyone = dict(zip(found, (balancer, *masters, *workers), strict=True))
    assert list(found) == list(lab().hosts)
    assert sum(item.cluster is Origin.INIT for item in found.values()) <= 1
    for name, seen in everyone.items():
        item = found[name]
        assert item.state is seen.state
        assert (item.cluster is Origin.NONE) == (seen in (JOINED, OFF, PAUSED) or name == "haproxy")
        assert item.leftover == (seen in BEGUN)
    assert (not any(wanted(item) for item in found.values())) == (
        balancer == BLANK and all(seen == JOINED for seen in (*masters, *workers))
    )


def test_facts_tell_joined_touched_and_blank_hosts_apart() -> None:
    assert host_facts("master-1", JOINED).joined
    assert not host_facts("master-1", JOINED).touched
    assert host_facts("master-1", AT_WORK).kubeadm == "running"
    assert host_facts("master-1", FAILED).kubeadm == "failed"
    assert host_facts("master-1", CUT_OFF).kubeadm == "idle"
    assert all(host_facts("master-1", seen).touched for seen in BEGUN)
    assert not host_facts("master-1", BLANK).touched
