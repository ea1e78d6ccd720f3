"""Preflight: every reason not to start, each with what was seen, the rule and the cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab.local import Completed
from lab.machines import oom_score_restricted
from lab.providers.lxc import preflight
from lab.providers.lxc.preflight import LocalFacts, cgroup_kind, judge
from lab.providers.lxc.system import SUPPORTED, unknown_system
from lab.render.roles import host_roles
from tests.world import inventory

GOOD = LocalFacts(
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


def problems(facts: LocalFacts, machines: int = 6, off: int = 6, absent: int = 6) -> list[str]:
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
        (
            replace(GOOD, missing_features=("vxlan: Unknown device type",)),
            ("kernel module vxlan: Unknown device type", "make limits, or modprobe vxlan", "reboot"),
        ),
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
def test_c26_one_fault_is_one_problem_that_says_how_to_cure_it(
    facts: LocalFacts, parts: tuple[str, ...]
) -> None:
    (said,) = problems(facts)
    assert all(part in said for part in parts), said


def test_all_faults_are_told_at_once() -> None:
    bad = replace(GOOD, root=False, kmsg=False, cgroup="none", memory_mib=1, disk_mib=1, inotify_instances=1)
    assert len(problems(bad)) == 6


def test_machines_that_run_already_need_nothing_more() -> None:
    assert problems(replace(GOOD, memory_mib=100, disk_mib=100), off=0, absent=0) == []
    assert len(problems(replace(GOOD, memory_mib=100, disk_mib=100), off=1, absent=0)) == 1


def test_c26_inotify_is_counted_for_the_whole_lab() -> None:
    assert problems(replace(GOOD, inotify_instances=512), off=0, absent=0) == []
    assert len(problems(replace(GOOD, inotify_instances=512), machines=16, off=0, absent=0)) == 1


@pytest.mark.parametrize("text", [None, "", "many\n"], ids=["no file", "empty", "no number"])
def test_c26_a_limit_that_cannot_be_read_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "max_user_instances").write_text(text)
    monkeypatch.setattr(preflight, "INOTIFY", str(tmp_path))
    limits = [preflight._limit(f"max_user_{kind}") for kind in ("instances", "watches")]
    assert limits == [None, None]
    facts = replace(GOOD, inotify_instances=limits[0], inotify_watches=limits[1])
    found = judge(facts, 6, off=6, absent=6)
    assert [(item.stops, item.seen) for item in found] == [(False, "could not be read")] * 2
    assert str(found[0]) == (
        "fs.inotify.max_user_instances: could not be read; wanted: 512 for 6 machines; "
        "fix: look where you may: sysctl fs.inotify.max_user_instances"
    )


@pytest.mark.parametrize(("machines", "wanted"), [(6, 512), (12, 896)])
def test_c26_the_default_limit_of_inotify_is_too_low_for_a_lab(machines: int, wanted: int) -> None:
    (said,) = problems(replace(GOOD, inotify_instances=128), machines=machines)
    key = "fs.inotify.max_user_instances"
    assert said == f"{key}: 128; wanted: {wanted} for {machines} machines; fix: sysctl -w {key}={wanted}"


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


def test_images_on_another_file_system_are_counted_once_and_the_way_out_is_named() -> None:
    tight = replace(GOOD, disk_mib=6 * 614 + 1799)
    assert problems(tight) == []
    (problem,) = judge(tight, 6, off=6, absent=6, copied_mib=1800)
    assert (
        problem.wanted
        == "5484 MiB for 6 more machines, 1800 MiB of it for images, which lie on another file system"
    )
    assert "PLUMBLINE_CACHE" in problem.fix
    assert judge(tight, 6, off=6, absent=0, copied_mib=1800) == []


def test_a_copy_is_due_only_between_file_systems_and_only_once(tmp_path: Path) -> None:
    assert preflight.copied_mib(tmp_path / "lab", tmp_path / "cache") == 0
    assert preflight.copied_mib(tmp_path / "lab", Path("/proc")) == preflight.IMAGES_MIB
    (tmp_path / "lab/seeds").mkdir(parents=True)
    assert preflight.copied_mib(tmp_path / "lab", Path("/proc")) == 0


def test_every_module_that_a_role_loads_on_a_machine_is_looked_for_on_the_host() -> None:
    """Containers load none, so the host's kernel must have it already."""
    lab = inventory()
    needed = {module for name in lab.hosts for role in host_roles(lab, name) for module in role.modules}
    assert needed
    assert needed <= set(preflight.modules())


def test_a_module_is_missing_when_its_command_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(argv: Sequence[str], **_: object) -> Completed:
        script = argv[-2]
        if "bridge-nf-call-iptables" in script:
            return Completed(1, "", "")
        return (
            Completed(2, "", "RTNETLINK: Unknown device type\nmore")
            if "vxlan" in script
            else Completed(0, "", "")
        )

    monkeypatch.setattr(preflight, "run", fails)
    assert preflight._missing_features(tmp_path) == (
        "vxlan: RTNETLINK: Unknown device type",
        "br_netfilter: `grep -qx 1 /proc/sys/net/bridge/bridge-nf-call-iptables` fails",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", SUPPORTED, ids="-".join)
def test_a_supported_system_is_taken_without_a_word(system: tuple[str, str]) -> None:
    assert unknown_system({"ID": system[0], "VERSION_ID": system[1]}) == []


@pytest.mark.parametrize(
    "release",
    [
        {"ID": "fedora", "VERSION_ID": "42", "PRETTY_NAME": "Fedora Linux 42"},
        {"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux trixie/sid"},
        {},
    ],
)
def test_another_system_is_warned_of_and_not_refused(release: dict[str, str]) -> None:
    [problem] = unknown_system(release)
    assert not problem.stops
    assert problem.seen == release.get("PRETTY_NAME", "unknown")
    assert "Debian 12" in problem.wanted
