"""What differs between a host and its files is said by its facts alone."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.hosts.converge import HostFacts, compare
from lab.hosts.held import HeldFile
from lab.hosts.units import HeldUnit, clock
from lab.render.bundle import File
from lab.render.components import KUBELET_CONFIG
from lab.render.role import Unit
from tests.unit.core.here import OWNER, bundle, file


def facts(**changes: Any) -> HostFacts:
    known: dict[str, Any] = {
        "files": {},
        "sysctls": {},
        "units": {"plumbline-kubeadm.service": {"active": "inactive", "enabled": ""}},
        "exists": {
            "/etc/kubernetes/plumbline-joined": False,
            "/etc/kubernetes/kubelet.conf": False,
            "/var/lib/etcd/member": False,
        },
    }
    return HostFacts(**known | changes)


def test_a_kubelet_is_expected_to_run_only_on_a_member_of_the_cluster() -> None:
    kubelet = {"kubelet.service": HeldUnit(active="inactive", enabled="enabled")}
    wanted = bundle(units=(Unit(name="kubelet.service", started_by="kubeadm"),))
    alone = facts(units={**facts().units, **kubelet})
    member = facts(units=alone.units, exists=dict.fromkeys(facts().exists, True))
    assert compare(wanted, alone) == ()
    assert [change.sentence for change in compare(wanted, member)] == [
        "start kubelet.service (it is inactive)"
    ]


@pytest.mark.parametrize("active", ["active", "activating", "reloading"])
def test_a_unit_on_its_way_is_left_alone(active: str) -> None:
    wanted = bundle(units=(Unit(name="x.service"),))
    units = {**facts().units, "x.service": HeldUnit(active=active, enabled="enabled")}
    assert compare(wanted, facts(units=units)) == ()


def test_a_changed_sysctl_file_is_loaded_after_it_was_written() -> None:
    wanted = bundle(File("/etc/sysctl.d/90-plumbline.conf", "a = 1\n", "root:root", "0644", ()))
    changes = compare(wanted, facts(files={"/etc/sysctl.d/90-plumbline.conf": None}))
    assert [change.sentence for change in changes] == [
        "write /etc/sysctl.d/90-plumbline.conf",
        "load /etc/sysctl.d/90-plumbline.conf",
    ]


def test_a_change_shows_the_difference_and_a_new_file_all_its_lines(tmp_path: Path) -> None:
    wanted = bundle(file(tmp_path / "f", "same\nnew\n", "0644", "reload x"))
    seen = {"text": base64.b64encode(b"same\nold \xff\n").decode(), "mode": "0644", "owner": OWNER}
    [change] = compare(wanted, facts(files={str(tmp_path / "f"): seen}))
    assert change.sentence == f"write {tmp_path}/f; then reload x"
    assert "-old \ufffd\n+new\n" in change.diff
    [created] = compare(wanted, facts(files={str(tmp_path / "f"): None}))
    assert created.diff.endswith("+same\n+new\n")


@pytest.mark.parametrize(
    ("active", "exists", "kubeadm", "joined", "touched"),
    [
        ("inactive", set(), "idle", False, False),
        ("activating", set(), "running", False, True),
        ("failed", {"/etc/kubernetes/kubelet.conf"}, "failed", False, True),
        ("inactive", {"/var/lib/etcd/member"}, "idle", False, True),
        ("inactive", {"/etc/kubernetes/plumbline-joined"}, "idle", True, False),
        ("failed", {"/etc/kubernetes/plumbline-joined"}, "failed", True, False),
    ],
)
def test_how_far_kubeadm_came_is_told_by_what_it_left(
    active: str, exists: set[str], kubeadm: str, joined: bool, touched: bool
) -> None:
    seen = facts(
        units={"plumbline-kubeadm.service": {"active": active, "enabled": ""}},
        exists={path: path in exists for path in facts().exists},
    )
    assert (seen.kubeadm, seen.joined, seen.touched) == (kubeadm, joined, touched)


UNITS = {"haproxy.service": HeldUnit(active="active", enabled="enabled", process=9, since=1000.0)}
HAPROXY = File("/etc/haproxy/haproxy.cfg", "x\n", "root:root", "0644", ("reload haproxy",))
HELD = {HAPROXY.path: {"text": base64.b64encode(b"x\n").decode(), "mode": "0644", "owner": "root:root"}}


@pytest.mark.parametrize(
    ("time_", "process", "told"),
    [
        (900.0, 9, []),
        (1000.9, 9, []),
        (None, 9, []),
        (1300.0, 0, []),
        (
            1300.0,
            9,
            [
                f"reload haproxy: {HAPROXY.path} is of {clock(1300)}, it runs with what was there at "
                f"{clock(1000)}"
            ],
        ),
    ],
    ids=["older", "as its start", "missing", "no process", "newer"],
)
def test_a_unit_that_runs_with_an_older_file_reads_it_again(
    time_: float | None, process: int, told: list[str]
) -> None:
    held = UNITS["haproxy.service"].model_copy(update={"process": process})
    seen = facts(files=HELD, units={**facts().units, "haproxy.service": held}, written={HAPROXY.path: time_})
    changes = compare(bundle(HAPROXY), seen)
    assert [change.sentence for change in changes] == told
    if told:
        assert changes[0].commands == (("systemctl", "try-reload-or-restart", "haproxy"),)


def test_a_file_that_is_written_anyway_is_no_second_reason() -> None:
    seen = facts(files={HAPROXY.path: None}, units={**facts().units, **UNITS}, written={HAPROXY.path: 1300.0})
    changes = compare(bundle(HAPROXY), seen)
    assert [change.sentence for change in changes] == [f"write {HAPROXY.path}; then reload haproxy"]


def test_a_unit_file_that_systemd_has_not_read_is_read_before_the_restart() -> None:
    unit = File("/etc/systemd/system/x.service", "x\n", "root:root", "0644", ("daemon-reload", "restart x"))
    held = HeldUnit(active="active", enabled="enabled", process=9, since=1000.0, unread=True)
    seen = facts(
        files={unit.path: HELD[HAPROXY.path]},
        units={**facts().units, "x.service": held},
        written={unit.path: 900.0},
    )
    (change,) = compare(bundle(unit), seen)
    assert change.sentence == "daemon-reload, restart x: its unit file was changed since systemd read it"
    assert change.commands == (("systemctl", "daemon-reload"), ("systemctl", "restart", "x"))


def test_c51_a_unit_that_has_failed_may_be_started_although_it_hit_its_limit() -> None:
    """C51: five starts within ten seconds, and systemd refuses the sixth."""
    wanted = bundle(units=(Unit(name="haproxy.service"),))
    held = HeldUnit(active="failed", enabled="enabled")
    (change,) = compare(wanted, facts(units={**facts().units, "haproxy.service": held}))
    assert change.sentence == "start haproxy.service (it is failed)"
    assert change.commands == (
        ("systemctl", "reset-failed", "haproxy.service"),
        ("systemctl", "start", "haproxy.service"),
    )


def test_a_unit_that_ends_again_and_again_does_not_run() -> None:
    wanted = bundle(units=(Unit(name="haproxy.service"),))
    held = HeldUnit(active="activating", sub="auto-restart", enabled="enabled", restarts=12)
    (change,) = compare(wanted, facts(units={**facts().units, "haproxy.service": held}))
    assert change.sentence == "restart haproxy.service (it ends again and again: 12 restarts)"


def kubelet_file(text: str) -> dict[str, HeldFile | None]:
    encoded = base64.b64encode(text.encode()).decode()
    return {KUBELET_CONFIG: HeldFile(text=encoded, mode="0644", owner="root:root")}


def test_a_kubelets_settings_are_merged_into_kubeadms_file_and_the_kubelet_restarted() -> None:
    wanted = replace(bundle(), kubelet={"maxPods": 110, "containerLogMaxSize": "20Mi"})
    exists = dict.fromkeys(facts().exists, True)
    same = facts(exists=exists, files=kubelet_file("maxPods: 110\ncontainerLogMaxSize: 20Mi\nown: 1\n"))
    assert compare(wanted, same) == ()
    text = 'containerLogMaxSize: 10Mi\nempty: ""\nmaxPods: 110\nown: 1\nzero: "0"\n'
    [change] = compare(wanted, facts(exists=exists, files=kubelet_file(text)))
    assert change.sentence == (f"{KUBELET_CONFIG}: containerLogMaxSize: 10Mi -> 20Mi; then restart kubelet")
    changed = [line for line in change.diff.splitlines()[3:] if not line.startswith(" ")]
    assert changed == ["-containerLogMaxSize: 10Mi", "+containerLogMaxSize: 20Mi"], "quotes are kubeadm's"
    assert change.commands == (("systemctl", "restart", "kubelet"),)
    assert change.file is not None
    assert change.file.text == text.replace("10Mi", "20Mi")
    assert (change.file.owner, change.file.mode) == ("root:root", "0644")


def test_a_node_that_kubeadm_has_not_finished_keeps_its_kubelets_file() -> None:
    wanted = replace(bundle(), kubelet={"maxPods": 110})
    assert compare(wanted, facts(files=kubelet_file("maxPods: 5\n"))) == ()
