"""Machines that exist: judged by recorded facts."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import Any

import pytest

from lab.errors import FailedError
from lab.hosts.converge import EVIDENCE
from lab.inventory.loading import load
from lab.inventory.models import Host
from lab.providers.static.facts import MARK, judge, look
from tests.fakes import Call, FakeSsh
from tests.host_facts import PI
from tests.unit.static_machine import KEY, USED, existing


@pytest.fixture
def pi() -> Host:
    return load("production").hosts["pi-1"]


def said(pi: Host, offset: float = 0.0, **changes: Any) -> list[str]:
    return [str(item) for item in judge("pi-1", pi, "production", existing(offset, **changes))]


def test_a_good_machine_is_taken_also_a_second_time(pi: Host) -> None:
    assert said(pi) == []
    used = {path: {"sha256": "", "mode": "0600", "owner": "root:root"} for path in EVIDENCE}
    assert said(pi, texts={MARK: "production"}, files=used) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"system__os": "debian-12"}, "operating system: debian-12; wanted: ubuntu-24.04"),
        ({"system__machine": "armv7l"}, "architecture: armv7l; wanted: aarch64"),
        ({"system__hostname": "ubuntu"}, "fix: hostnamectl set-hostname pi-1"),
        ({"system__kernel": "4.9.0-raspi"}, "kernel: 4.9.0-raspi; wanted: 4.19 or newer"),
        ({"system__page_size": 16384}, "page size: 16384; wanted: 4096"),
        ({"system__swap": ["/swapfile file 2097148 0 -2"]}, "swap: /swapfile; wanted: none"),
        ({"system__cgroup": "tmpfs"}, "cgroups: tmpfs; wanted: version 2"),
        ({"system__controllers": ["cpu"]}, "fix: add cgroup_enable=memory to /boot/firmware/cmdline.txt"),
        ({"system__cpus": 2}, "CPUs: 2; wanted: 4"),
        ({"system__memory_kib": 3_900_000}, "memory: 3.7 GiB; wanted: 8 GiB"),
        (
            {"disks__filesystems": {"/": {"total": 3 * 2**30, "used": 2**31, "free": 2**30}}},
            "disk: 3 GiB; wanted: 64 GiB",
        ),
        ({"texts": {MARK: "attic"}}, "belongs to lab attic"),
        (
            {"files": {EVIDENCE[1]: {"sha256": "ab", "mode": "0600", "owner": "root:root"}}},
            f"use: {EVIDENCE[1]}: a part of something already",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_reason_is_told_with_its_cure(pi: Host, changes: dict[str, Any], expected: str) -> None:
    assert [line for line in said(pi, **changes) if expected in line]


def test_all_reasons_are_told_at_once(pi: Host) -> None:
    found = said(pi, 3600, system__os="debian-12", system__swap=["/dev/sda2"], system__page_size=16384)
    assert len(found) == 4
    assert "clock: +3600 s against ours" in "\n".join(found)


def test_a_container_has_its_hosts_swap_and_cgroups(pi: Host) -> None:
    status = "CapBnd:\t00000000a80425fb\n"
    changes = {"container": "lxc", "status": status, "swap": ["/swap"], "cgroup": "tmpfs"}
    found = existing(system=PI["system"] | changes)
    assert judge("pi-1", pi, "production", found) == []
    traits = found.traits
    assert traits.shares_kernel
    assert traits.oom_score_restricted
    assert not traits.layered


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("not reachable by SSH: plumbline@10.1.1.60: Permission denied (publickey).", KEY),
        ("not reachable by SSH: Host key verification failed.", "host_key"),
        ("not reachable by SSH: connect to host 10.1.1.60 port 22: No route to host", "switch it on"),
        ("`python3 -c` ended with exit code 1: sudo: a password is required", "sudo without a password"),
    ],
)
def test_a_machine_that_cannot_be_asked_says_what_to_do(pi: Host, error: str, cure: str) -> None:
    ssh = FakeSsh()
    ssh.on("pi-1", "python3 -c", FailedError(f"pi-1: {error}"))
    [problem] = judge("pi-1", pi, "production", look(ssh, "pi-1", EVIDENCE, KEY))
    assert cure in problem.fix
    assert error in problem.seen


def test_the_facts_program_can_answer_what_is_asked_of_a_machine() -> None:
    """The program itself, run here with the question that a machine gets."""
    ssh = FakeSsh()

    def here(call: Call) -> str:
        argv = shlex.split(call.command)
        return subprocess.run(argv, input=call.stdin, capture_output=True, text=True, check=True).stdout

    ssh.on("pi-1", "python3 -c", here)
    found = look(ssh, "pi-1", EVIDENCE, KEY)
    assert found.reason == ""
    assert found.facts is not None
    assert set(found.facts.files) == set(EVIDENCE)


def test_a_part_that_a_machine_cannot_look_at_is_told_and_is_no_sign_of_use(pi: Host) -> None:
    ssh = FakeSsh()
    broken = json.dumps(PI | USED | {"files": {"error": "PermissionError: /var/lib/etcd"}})
    ssh.on("pi-1", "python3 -c", broken)
    found = look(ssh, "pi-1", EVIDENCE, KEY)
    assert not found.silent, "it is on: nobody has to switch it on"
    [problem] = judge("pi-1", pi, "production", found)
    assert problem.seen == "files: PermissionError: /var/lib/etcd"
