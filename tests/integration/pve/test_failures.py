"""Failures of every kind at every step: each ends in a converged lab, or in a clear error and, with the next
command, in a converged lab; never in an orphan, a double or a lost machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lab.errors import PlumblineError
from tests.doubles.pve.faults import TaskScript
from tests.doubles.pve.fixture import Double
from tests.integration.pve.site import Site, SiteMaker

QEMU = "/nodes/[^/]+/qemu"
ONE = f"{QEMU}/[0-9]+"
POLL = "/nodes/[^/]+/tasks/[^/]+/status"
FETCH = "/nodes/[^/]+/storage/local/download-url"
CHANGES = {
    "fetch": ("POST", FETCH),
    "make": ("POST", QEMU),
    "template": ("POST", f"{ONE}/template"),
    "clone": ("POST", f"{ONE}/clone"),
    "configure": ("PUT", f"{ONE}/config"),
    "grow": ("PUT", f"{ONE}/resize"),
    "start": ("POST", f"{ONE}/status/start"),
}
"""Every change that a build sends, in its order."""
READS = {
    "poll": POLL,
    "resources": "/cluster/resources",
    "nodes": "/nodes",
    "list": QEMU,
    "configuration": f"{ONE}/config",
    "state": f"{ONE}/status/current",
    "free number": "/cluster/nextid",
    "storages": "/nodes/[^/]+/storage",
    "content": "/nodes/[^/]+/storage/local/content",
}
TASKS = {
    "fetch": "download",
    "make": "qmcreate",
    "template": "qmtemplate",
    "clone": "qmclone",
    "grow": "resize",
    "start": "qmstart",
}


@dataclass(frozen=True)
class Case:
    """One failure: how it is ordered, and what the error says ("": the build goes through)."""

    name: str
    order: Callable[[Double], object]
    error: str = ""


def _cases() -> list[Case]:
    cases = []
    for step, (method, path) in CHANGES.items():

        def lost(pve: Double, method: str = method, path: str = path) -> object:
            return pve.world.faults.drop(method, path, after=True)

        def unsent(pve: Double, method: str = method, path: str = path) -> object:
            return pve.world.faults.drop(method, path, after=False)

        def proxy(pve: Double, method: str = method, path: str = path) -> object:
            return pve.world.faults.answer(method, path, 596, "Connection timed out", after=True)

        def locked(pve: Double, method: str = method, path: str = path) -> object:
            text = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
            return pve.world.faults.answer(method, path, 500, text, times=2)

        def refused(pve: Double, method: str = method, path: str = path) -> object:
            return pve.world.faults.answer(method, path, 403, "Permission check failed (/vms/100, X)")

        cases += [
            Case(f"{step}: answer lost", lost),
            Case(f"{step}: call lost", unsent),
            Case(f"{step}: 596 after it was done", proxy),
            Case(f"{step}: lock held twice", locked),
            Case(f"{step}: refused", refused, "403: Permission check failed"),
        ]
    for name, path in READS.items():

        def unanswered(pve: Double, path: str = path) -> object:
            return pve.world.faults.answer("GET", path, 599, "Too many redirections", times=2)

        def dropped(pve: Double, path: str = path) -> object:
            return pve.world.faults.drop("GET", path, nth=2)

        cases += [Case(f"read {name}: 599", unanswered), Case(f"read {name}: dropped", dropped)]
    for step, kind in TASKS.items():

        def failed(pve: Double, kind: str = kind) -> None:
            pve.world.faults.tasks(kind, TaskScript(error="no space left on device"))

        def warned(pve: Double, kind: str = kind) -> None:
            pve.world.faults.tasks(kind, TaskScript(warning="a kernel module is missing"))

        def hidden(pve: Double, kind: str = kind) -> None:
            pve.world.faults.tasks(kind, TaskScript(hidden_polls=2))

        def silent(pve: Double, kind: str = kind) -> None:
            pve.world.faults.tasks(kind, TaskScript(no_status=True))

        cases += [
            Case(f"task {step}: fails", failed, "no space left on device"),
            Case(f"task {step}: ends with warnings", warned),
            Case(f"task {step}: not listed at first", hidden),
            Case(f"task {step}: ends without a status", silent, "ended without a status"),
        ]
    return cases


CASES = _cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failure_ends_converged_or_with_a_clear_error(case: Case, site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    case.order(lab.double)
    if case.error:
        with pytest.raises(PlumblineError, match=case.error):
            lab.build()
        lab.assert_sound()
        _next_command(lab)
    else:
        lab.build()
    lab.assert_converged()
    if "after it was done" in case.name or "answer lost" in case.name:
        assert lab.double.world.journal.repeated() == [], "what was carried out is not sent again"
    if "warnings" in case.name:
        assert "a kernel module is missing" in "".join(lab.warnings)
    assert lab.provider.clean()
    assert not lab.provider.leftovers()
    lab.assert_sound()


REMOVALS = {"stop": ("POST", f"{ONE}/status/stop"), "remove": ("DELETE", ONE)}


@pytest.mark.parametrize("step", REMOVALS)
@pytest.mark.parametrize("failure", ["answer lost", "call lost", "596 after it was done", "lock held twice"])
def test_a_failure_while_a_lab_is_removed_leaves_nothing(step: str, failure: str, site: SiteMaker) -> None:
    lab, (method, path) = site(workers=1, masters=1), REMOVALS[step]
    stranger = lab.double.add_foreign_vm(900, "family-nas")
    lab.build()
    faults, journal = lab.double.world.faults, lab.double.world.journal
    if failure == "lock held twice":
        faults.answer(method, path, 500, "can't lock file '/x' - got timeout", times=2)
    elif failure.startswith("596"):
        faults.answer(method, path, 596, "Connection timed out", after=True)
    else:
        faults.drop(method, path, after=failure == "answer lost")
    lab.again()
    assert lab.provider.clean()
    assert not lab.provider.leftovers()
    assert lab.own() == {}
    assert lab.double.world.vms[900] is stranger
    if failure != "call lost":
        assert journal.repeated() == [], "what was carried out is not sent again"
    lab.assert_sound()


def _next_command(lab: Site) -> None:
    """The same command again, by a process that remembers nothing."""
    lab.again()
    lab.build()
