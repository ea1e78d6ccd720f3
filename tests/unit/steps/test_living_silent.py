"""What a plan says of machines that do not answer."""

from __future__ import annotations

import pytest

from lab.cluster.api import Unavailable
from lab.errors import DeadlineError, FailedError
from lab.steps.engine import Step, not_looked_at
from lab.steps.removing import Left
from tests.fakes import Call
from tests.unit.steps.living import plan
from tests.world import World

pytestmark = pytest.mark.usefixtures("healthy", "nothing_unplanned")


def silent(lab: World, *names: str) -> None:
    """These machines run and let nobody in."""

    def no(call: Call) -> Exception:
        return FailedError(f"{call.host}: not reachable by SSH: no route to host")

    for name in names:
        lab.ssh.on(name, "", no)


@pytest.mark.parametrize("name", ["worker-1", "master-2", "haproxy"])
def test_a_plan_names_who_does_not_answer_and_goes_on_with_the_rest(lab: World, name: str) -> None:
    lab.hosts["worker-2"].write("/etc/hosts", "", "0644", "root:root")
    silent(lab, name)
    steps = plan(lab)
    assert [step.host for step in steps if step.unknown] == [name]
    assert {step.subject: step.will for step in steps if step.will} == {"worker-2": ("write /etc/hosts",)}
    error = not_looked_at(steps)
    assert error
    assert error.message == f"{name}: not reachable by SSH: no route to host"


def test_a_plan_never_founds_a_cluster_beside_a_master_that_is_silent(lab: World) -> None:
    silent(lab, *lab.inventory.masters)
    assert not any(step.phase == "init" for step in plan(lab))
    error = not_looked_at(plan(lab))
    assert error
    for name in lab.inventory.masters:
        assert f"{name}: " in error.message


def test_a_plan_does_not_wait_for_a_machine_that_boots(lab: World) -> None:
    lab.hosts["worker-1"].booting = True
    error = not_looked_at(plan(lab))
    assert error
    assert error.message.startswith("worker-1: is still booting")


def test_an_api_that_is_away_is_one_reason(lab: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> bool:
        raise Unavailable("API: https://10.1.1.50:6443: connection refused")

    def look(_: object) -> Left:
        raise Unavailable("API: https://10.1.1.50:6443: Max retries exceeded")

    monkeypatch.setattr(lab.api, "ready", gone)
    monkeypatch.setattr("lab.steps.removing.look", look)
    error = not_looked_at(plan(lab))
    assert error
    assert error.exit_code == DeadlineError.exit_code
    assert error.message.startswith("API behind the balancer: not within")


def test_reasons_that_differ_are_all_told() -> None:
    def step(host: str, error: Exception) -> Step:
        return Step("converge", host, "converge", frozenset(), lambda: (False, ""), unknown=error)  # type: ignore[arg-type]

    both = [step("a", FailedError("a: no")), step("b", DeadlineError("look at b", 20, "silence"))]
    error = not_looked_at(both)
    assert error
    assert error.exit_code == 1
    assert (
        error.message
        == "2 things could not be looked at:\n  a: no\n  look at b: not within 20 s; last seen: silence"
    )
    alike = not_looked_at([both[1], both[1]])
    assert alike is both[1].unknown
    assert not_looked_at([]) is None
