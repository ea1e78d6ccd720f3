"""Preflight: every reason not to start, each with what was seen, the rule and the cure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.providers.lxc.preflight import HostFacts, cgroup_kind, judge, oom_score_restricted

GOOD = HostFacts(
    root=True,
    missing_commands=(),
    missing_features=(),
    cgroup="v2",
    kmsg=True,
    memory_mib=8192,
    disk_mib=20000,
    disk_folder="/var/lib",
    inotify_instances=8192,
    inotify_watches=200000,
)


def problems(facts: HostFacts, machines: int = 6, off: int = 6, absent: int = 6) -> list[str]:
    return [str(problem) for problem in judge(facts, machines, off=off, absent=absent)]


def test_a_good_machine_has_no_problem() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        (replace(GOOD, root=False), ("not root", "sudo")),
        (
            replace(GOOD, missing_commands=("lxc-start", "nsenter", "unshare")),
            ("lxc-start, nsenter, unshare", "apt-get install --no-install-recommends lxc util-linux"),
        ),
        (replace(GOOD, missing_features=("vxlan: Unknown device type",)), ("vxlan", "Unknown device type")),
        (replace(GOOD, cgroup="v1 without systemd"), ("v1 without systemd", "name=systemd")),
        (replace(GOOD, cgroup="none"), ("cgroups: none",)),
        (replace(GOOD, kmsg=False), ("/dev/kmsg", "mknod")),
        (replace(GOOD, memory_mib=2000), ("free memory: 2000 MiB", "2100 MiB for 6 more machines")),
        (replace(GOOD, disk_mib=3000), ("free disk at /var/lib: 3000 MiB", "3684 MiB for 6 more machines")),
        (
            replace(GOOD, inotify_instances=128),
            ("max_user_instances: 128", "sysctl -w fs.inotify.max_user_instances=512"),
        ),
        (
            replace(GOOD, inotify_watches=8192),
            ("max_user_watches: 8192", "sysctl -w fs.inotify.max_user_watches=32768"),
        ),
    ],
)
def test_one_fault_is_one_problem_that_says_how_to_cure_it(facts: HostFacts, parts: tuple[str, ...]) -> None:
    (said,) = problems(facts)
    assert all(part in said for part in parts), said


def test_all_faults_are_told_at_once() -> None:
    bad = replace(GOOD, root=False, kmsg=False, cgroup="none", memory_mib=1, disk_mib=1, inotify_instances=1)
    assert len(problems(bad)) == 6


def test_machines_that_run_already_need_nothing_more() -> None:
    assert problems(replace(GOOD, memory_mib=100, disk_mib=100), off=0, absent=0) == []
    assert len(problems(replace(GOOD, memory_mib=100, disk_mib=100), off=1, absent=0)) == 1


def test_inotify_is_counted_for_the_whole_lab() -> None:
    assert problems(replace(GOOD, inotify_instances=512), off=0, absent=0) == []
    assert len(problems(replace(GOOD, inotify_instances=512), machines=16, off=0, absent=0)) == 1


def test_a_limit_that_cannot_be_read_stops_nobody() -> None:
    assert problems(replace(GOOD, inotify_instances=None, inotify_watches=None)) == []


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n", "v2"),
        (
            "cgroup /c/freezer cgroup rw,freezer 0 0\ncgroup /c/systemd cgroup rw,xattr,name=systemd 0 0\n"
            "cgroup2 /c/unified cgroup2 rw 0 0\n",
            "v1",
        ),
        ("cgroup /c/freezer cgroup rw,freezer 0 0\n", "v1 without systemd"),
        ("proc /proc proc rw 0 0\n", "none"),
    ],
)
def test_the_version_of_the_cgroups(mounts: str, kind: str) -> None:
    assert cgroup_kind(mounts) == kind


@pytest.mark.parametrize(
    ("bounding", "restricted"), [("000001ffffffffff", False), ("000001fffeffffff", True)]
)
def test_oom_score_is_restricted_without_cap_sys_resource(bounding: str, restricted: bool) -> None:
    assert oom_score_restricted(f"Name:\tx\nCapBnd:\t{bounding}\nCapAmb:\t0\n") is restricted
