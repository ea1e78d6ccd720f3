"""The program that is sent to hosts, run here exactly as a host runs it: `python3 -c`, JSON in, JSON out."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import shlex
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.errors import CommandError, FailedError
from lab.hosts import remote_look
from lab.hosts.changes import HostChange
from lab.hosts.converge import HeldFile, HostFacts, apply, compare, look
from lab.hosts.units import HeldUnit, clock
from lab.local import Pour
from lab.render.bundle import Bundle, File
from lab.render.components import KUBELET_CONFIG
from lab.render.roles import Unit
from lab.ssh import Result, Ssh
from lab.waits import NotYet, wait_for
from tests.soon import SOON

SYSTEMCTL = r"""#!/bin/sh
# What systemctl says of three units, and a note of everything else it was asked to do.
if [ "$1" = show ]; then
    shift 2
    first=yes
    for unit; do
        [ -n "$first" ] || echo
        first=
        case $unit in
            good.service) printf 'ActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=2\n'
                printf 'NeedDaemonReload=yes\nMainPID=7\nStateChangeTimestampMonotonic=5000000000\n';;
            off.service) printf 'ActiveState=failed\nUnitFileState=disabled\n';;
            *) printf 'ActiveState=inactive\nUnitFileState=\n';;
        esac
    done
    exit
fi
echo "systemctl $*" >> "$LOG"
[ "$2" != broken ] || { echo 'Job for broken.service failed.' >&2; exit 5; }
"""
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


class HereSsh(Ssh):
    """A host that is this machine: the command of a login shell, without ssh and sudo."""

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(Path("/nowhere"))
        self.environment = environment
        self.round_trips = 0

    def try_run(
        self,
        host: str,  # noqa: ARG002
        command: str,
        *,
        seconds: float = 60,  # noqa: ARG002
        stdin: str | Path | Pour = "",
    ) -> Result:
        self.round_trips += 1
        login = f"sh -c {shlex.quote(command)}"
        done = subprocess.run(
            ["sh", "-c", login],
            input=str(stdin),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What systemctl and sysctl were asked to do."""
    return tmp_path / "commands"


@pytest.fixture
def pending(tmp_path: Path) -> Path:
    return tmp_path / "var" / "pending.json"


@pytest.fixture
def ssh(tmp_path: Path, log: Path, pending: Path) -> HereSsh:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"systemctl": SYSTEMCTL, "sysctl": '#!/bin/sh\necho "sysctl $*" >> "$LOG"\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    log.touch()
    return HereSsh(
        {"PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(log), "PLUMBLINE_PENDING": str(pending)}
    )


Wanted = Callable[..., Bundle]


def bundle(*files: File, units: tuple[Unit, ...] = (), sysctls: dict[str, str] | None = None) -> Bundle:
    return Bundle("m1", files, (), (), sysctls or {}, units, (), (), ())


def file(path: Path, text: str = "wanted\n", mode: str = "0644", *then: str) -> File:
    return File(str(path), text, OWNER, mode, then)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_look_tells_files_units_sysctls_and_evidence_in_one_round_trip(
    ssh: HereSsh, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.write_bytes("für\xff".encode("latin-1"))
    there.chmod(0o640)
    wanted = bundle(
        file(there),
        file(tmp_path / "missing"),
        units=(Unit(name="good.service"), Unit(name="off.service")),
        sysctls={"kernel.ostype": "Linux", "net.no.such": "1"},
    )
    found = look(ssh, wanted)
    assert ssh.round_trips == 1
    seen = found.files[str(there)]
    assert seen is not None
    assert base64.b64decode(seen.text) == "für\xff".encode("latin-1")
    assert (seen.mode, seen.owner) == ("0640", OWNER)
    assert found.files[str(tmp_path / "missing")] is None
    assert found.sysctls == {"kernel.ostype": "Linux", "net.no.such": None}
    good, off = found.units["good.service"], found.units["off.service"]
    assert (good.active, good.sub, good.enabled, good.restarts) == ("active", "running", "enabled", 2)
    assert (good.unread, good.process) == (True, 7)
    assert (off.active, off.enabled, off.unread, off.process) == ("failed", "disabled", False, 0)
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    # the two clocks are read one after the other, here and there, and a busy machine may pause in between
    assert good.since == pytest.approx(booted + 5000, abs=SOON)
    assert found.kubeadm == "idle"
    assert not found.touched
    assert found.pending == []


def test_a_look_changes_nothing(ssh: HereSsh, tmp_path: Path, log: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    look(ssh, bundle(file(tmp_path / "missing"), units=(Unit(name="off.service"),)))
    assert sorted(tmp_path.rglob("*")) == before
    assert log.read_text() == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_an_owner_without_a_name_is_told_by_number(ssh: HereSsh, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 54321, 54322)
    seen = look(ssh, bundle(file(tmp_path / "file"))).files[str(tmp_path / "file")]
    assert seen is not None
    assert seen.owner == "54321:54322"


def converge(ssh: HereSsh, wanted: Bundle) -> list[str]:
    """Look, compare, apply; the sentences."""
    changes = compare(wanted, look(ssh, wanted))
    apply(ssh, "m1", changes)
    return [change.sentence for change in changes]


def test_a_missing_file_is_written_with_its_folder_mode_and_owner(ssh: HereSsh, tmp_path: Path) -> None:
    path = tmp_path / "etc" / "new" / "file.conf"
    wanted = bundle(file(path, "für\n", "0600"))
    assert converge(ssh, wanted) == [f"write {path}"]
    assert path.read_text() == "für\n"
    assert mode(path) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file.conf"]
    assert converge(ssh, wanted) == []


def test_what_an_earlier_inventory_left_is_told_and_removed_and_nothing_else(
    ssh: HereSsh, tmp_path: Path
) -> None:
    """A mirror that is no longer in the inventory would be asked for images for ever."""
    for name in ("docker.io", "quay.io", "hand/made"):
        (tmp_path / "certs.d" / name).mkdir(parents=True)
        (tmp_path / "certs.d" / name / "hosts.toml").write_text("wanted\n")
    (tmp_path / "certs.d" / "quay.io" / "ca.crt").touch()
    kept = file(tmp_path / "certs.d" / "docker.io" / "hosts.toml")
    owned = (str(tmp_path / "certs.d" / "*" / "hosts.toml"),)
    stale = tmp_path / "certs.d" / "quay.io" / "hosts.toml"
    wanted = replace(bundle(kept), owned=owned)
    (change,) = compare(wanted, look(ssh, wanted))
    assert change.sentence == f"remove {stale}"
    assert "-wanted\n" in change.diff
    assert stale.exists(), "a look removes nothing"
    assert converge(ssh, wanted) == [f"remove {stale}"]
    left = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "certs.d").rglob("*"))
    assert left == [
        *("certs.d/docker.io", "certs.d/docker.io/hosts.toml", "certs.d/hand", "certs.d/hand/made"),
        *("certs.d/hand/made/hosts.toml", "certs.d/quay.io", "certs.d/quay.io/ca.crt"),
    ]
    (tmp_path / "certs.d" / "quay.io" / "ca.crt").unlink()
    stale.write_text("wanted\n")
    assert converge(ssh, wanted) == [f"remove {stale}"]
    assert not stale.parent.exists()
    assert converge(ssh, wanted) == []


def test_content_on_its_way_is_never_open_to_others(ssh: HereSsh, tmp_path: Path) -> None:
    """A write that ends half-way (no such owner) leaves its part, which nobody else may read."""
    wanted = bundle(File(str(tmp_path / "key"), "secret\n", "no-such-user:root", "0644", ()))
    with pytest.raises(CommandError, match="no-such-user"):
        converge(ssh, wanted)
    assert not (tmp_path / "key").exists()
    assert mode(tmp_path / "key.plumbline") == 0o600


def test_another_mode_is_mended_without_touching_the_content(ssh: HereSsh, tmp_path: Path, log: Path) -> None:
    path = tmp_path / "file"
    path.write_text("wanted\n")
    path.chmod(0o666)
    wanted = bundle(file(path, "wanted\n", "0644", "reload haproxy"))
    assert converge(ssh, wanted) == [f"{path}: 0666 {OWNER} -> 0644 {OWNER}"]
    assert mode(path) == 0o644
    assert log.read_text() == ""
    assert converge(ssh, wanted) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_another_owner_is_mended(ssh: HereSsh, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("wanted\n")
    path.chmod(0o644)
    os.chown(path, 1, 1)
    assert len(converge(ssh, bundle(file(path)))) == 1
    assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid())


def test_a_linked_file_stays_a_link_and_converges(ssh: HereSsh, tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "resolv.conf"
    target.write_text("old\n")
    target.chmod(0o600)
    path.symlink_to(target)
    wanted = bundle(file(path))
    converge(ssh, wanted)
    assert path.is_symlink()
    assert target.read_text() == "wanted\n"
    assert converge(ssh, wanted) == []


def test_every_action_runs_once_and_daemon_reload_before_all(ssh: HereSsh, tmp_path: Path, log: Path) -> None:
    wanted = bundle(
        file(tmp_path / "config", "x", "0644", "restart containerd"),
        file(tmp_path / "unit", "x", "0644", "daemon-reload", "restart containerd"),
        file(tmp_path / "dropin", "x", "0644", "daemon-reload", "try-restart kubelet"),
    )
    converge(ssh, wanted)
    assert log.read_text().splitlines() == [
        "systemctl daemon-reload",
        "systemctl restart containerd",
        "systemctl try-restart kubelet",
    ]


def test_files_are_there_before_their_actions_run(ssh: HereSsh, tmp_path: Path) -> None:
    probe = tmp_path / "bin" / "systemctl"
    probe.write_text(f'#!/bin/sh\ncat "{tmp_path}/late" >> "$LOG"\n')
    first = file(tmp_path / "early", "x", "0644", "restart a")
    changes = [
        HostChange("one", file=first, commands=(("systemctl", "restart", "a"),)),
        HostChange("two", file=file(tmp_path / "late", "written\n")),
    ]
    apply(ssh, "m1", changes)
    assert (tmp_path / "commands").read_text() == "written\n"


def test_units_are_enabled_and_started_as_their_role_says(ssh: HereSsh, log: Path) -> None:
    units = (
        Unit(name="good.service"),
        Unit(name="off.service"),
        Unit(name="late.service", started_by="kubeadm"),
    )
    assert converge(ssh, bundle(units=units)) == [
        "enable off.service",
        "start off.service (it is failed)",
        "enable late.service",
    ]
    assert log.read_text().splitlines() == [
        "systemctl enable --quiet off.service",
        "systemctl reset-failed off.service",
        "systemctl start off.service",
        "systemctl enable --quiet late.service",
    ]


def test_a_sysctl_that_differs_is_set(ssh: HereSsh, log: Path) -> None:
    assert converge(ssh, bundle(sysctls={"kernel.ostype": "Hurd"})) == ["sysctl kernel.ostype: Linux -> Hurd"]
    assert log.read_text() == "sysctl --quiet -w kernel.ostype=Hurd\n"


def test_a_failed_action_tells_host_command_code_and_output(ssh: HereSsh, tmp_path: Path, log: Path) -> None:
    wanted = bundle(
        file(tmp_path / "a", "x", "0644", "reload broken"), file(tmp_path / "b", "x", "0644", "reload after")
    )
    with pytest.raises(CommandError, match=r"Job for broken.service failed") as failed:
        converge(ssh, wanted)
    assert (failed.value.host, failed.value.command, failed.value.code) == (
        "m1",
        "systemctl try-reload-or-restart broken",
        5,
    )
    assert log.read_text().splitlines() == ["systemctl try-reload-or-restart broken"]


def test_actions_that_a_failed_or_killed_run_still_owes_are_done_by_the_next_one(
    ssh: HereSsh, tmp_path: Path, log: Path, pending: Path
) -> None:
    wanted = bundle(
        file(tmp_path / "a", "x", "0644", "reload broken"), file(tmp_path / "b", "x", "0644", "reload after")
    )
    with pytest.raises(CommandError):
        converge(ssh, wanted)
    assert pending.exists()
    log.write_text("")
    mended = (tmp_path / "bin/systemctl").read_text().replace("!= broken", "!= nothing")
    (tmp_path / "bin/systemctl").write_text(mended)
    assert converge(ssh, wanted) == [
        "finish what an earlier run began: systemctl try-reload-or-restart broken",
        "finish what an earlier run began: systemctl try-reload-or-restart after",
    ]
    assert log.read_text().splitlines() == [
        "systemctl try-reload-or-restart broken",
        "systemctl try-reload-or-restart after",
    ]
    assert not pending.exists()
    assert converge(ssh, wanted) == []


def test_an_answer_that_is_no_json_is_an_error_that_names_the_host(ssh: HereSsh) -> None:
    class Chatty(HereSsh):
        def try_run(self, *_: Any, **__: Any) -> Result:
            return Result(0, "Welcome to m1!\n", "")

    with pytest.raises(FailedError, match="m1: an answer that is no JSON: 'Welcome to m1!"):
        look(Chatty(ssh.environment), bundle())


def test_a_host_without_python_is_an_error_that_names_the_host(ssh: HereSsh) -> None:
    class Bare(HereSsh):
        def try_run(self, *_: Any, **__: Any) -> Result:
            return Result(127, "", "sh: 1: python3: not found")

    with pytest.raises(CommandError, match="m1: `python3 -c"):
        look(Bare(ssh.environment), bundle())


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


@pytest.mark.parametrize(
    ("program", "request_", "answer"),
    [
        ("remote_change.py", {"write": [], "remove": [], "commands": []}, {"failed": None}),
        (
            "remote_look.py",
            {key: [] for key in ("files", "sysctls", "written", "exists", "owned")}
            | dict.fromkeys(("firewall", "static_pods", "links", "payload"))
            | {"units": ["good.service"]},
            {"pending": [], "written": {}, "static_pods": {}, "links": {}, "routes": {}, "resolvers": {}},
        ),
    ],
)
def test_the_programs_need_nothing_but_python(
    ssh: HereSsh, program: str, request_: dict[str, Any], answer: dict[str, Any]
) -> None:
    """Isolated mode: no site-packages, no checkout on the path."""
    told = subprocess.run(
        ["python3", "-I", "-S", "-c", (Path(__file__).parents[3] / "lab/hosts" / program).read_text()],
        input=json.dumps(request_),
        capture_output=True,
        text=True,
        check=True,
        env=ssh.environment,
    )
    assert json.loads(told.stdout).items() >= answer.items()


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


def test_a_mode_is_mended_without_a_new_time_of_the_file(ssh: HereSsh, tmp_path: Path) -> None:
    """A newer file would call for a restart of whoever reads it."""
    path = tmp_path / "file"
    path.write_text("wanted\n")
    path.chmod(0o600)
    os.utime(path, (1000, 1000))
    assert converge(ssh, bundle(file(path))) == [f"{path}: 0600 {OWNER} -> 0644 {OWNER}"]
    assert (mode(path), path.stat().st_mtime) == (0o644, 1000)


def test_the_host_says_where_our_session_comes_from(ssh: HereSsh) -> None:
    """sudo hides the variable from the program, not from the processes above it."""
    ssh.environment |= {"SSH_CONNECTION": "10.1.1.1 50222 10.1.1.50 22"}
    assert look(ssh, bundle()).client == "10.1.1.1"


def test_a_program_without_a_session_says_nothing(ssh: HereSsh) -> None:
    ssh.environment.pop("SSH_CONNECTION", None)
    assert look(ssh, bundle()).client in ("", os.environ.get("SSH_CONNECTION", " ").split(" ")[0])


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


NFT = r"""#!/bin/sh
# A kernel whose table is in the file LIVE, and a scratch namespace whose table is in the file WANTED.
case "$1" in
    -f) exit 0;;
esac
cat "${SCRATCH:-$LIVE}"
"""
UNSHARE = r"""#!/bin/sh
shift
SCRATCH=$WANTED exec "$@"
"""


def table(handle: int, *ports: int) -> str:
    listed: list[dict[str, Any]] = [{"metainfo": {"version": "1.0.6"}}]
    listed += [{"rule": {"handle": handle + port, "expr": [{"port": port}]}} for port in ports]
    listed += [{"rule": {"handle": 99, "expr": [{"counter": {"packets": handle, "bytes": 0}}]}}]
    return json.dumps({"nftables": listed})


@pytest.mark.parametrize(
    ("live", "state", "sentence"),
    [
        (table(7, 22, 6443), "", ""),
        (table(7, 22), "differs", "load /etc/nftables.conf: table inet plumbline was changed by hand"),
        (None, "missing", "load /etc/nftables.conf: table inet plumbline is missing"),
    ],
)
def test_rules_in_force_are_compared_with_those_of_the_file(
    ssh: HereSsh, tmp_path: Path, live: str | None, state: str, sentence: str
) -> None:
    for name, text in {"nft": NFT, "unshare": UNSHARE}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "wanted").write_text(table(1, 22, 6443))
    if live:
        (tmp_path / "live").write_text(live)
    ssh.environment |= {"LIVE": str(tmp_path / "live"), "WANTED": str(tmp_path / "wanted")}
    wanted = bundle(File("/etc/nftables.conf", "rules", OWNER, "0640", ("reload nftables",)))
    seen = look(ssh, wanted)
    assert seen.firewall == state
    encoded = base64.b64encode(b"rules").decode()
    same = {"/etc/nftables.conf": HeldFile(text=encoded, mode="0640", owner=OWNER)}
    changes = compare(wanted, seen.model_copy(update={"files": same}))
    assert [change.sentence for change in changes] == ([sentence] if sentence else [])
    reload = (("systemctl", "try-reload-or-restart", "nftables"),)
    assert all(change.commands == reload for change in changes)


def test_a_component_is_told_with_the_files_that_it_reads_once(tmp_path: Path) -> None:
    # a lab on this machine has processes of the real names
    name, other = f"component-{os.getpid()}", f"another-{os.getpid()}"
    kubeconfig, certificate = tmp_path / "scheduler.conf", tmp_path / "tls.crt"
    for path in (kubeconfig, certificate):
        path.touch()
        os.utime(path, (1000, 1000))
    flags = [f"--kubeconfig={kubeconfig}", f"--tls-cert-file={certificate}", f"--cert-dir={tmp_path}"]
    begun = time.time()
    process = subprocess.Popen([name, "-c", "read line", *flags], executable="/bin/sh", stdin=subprocess.PIPE)
    started = time.time()

    def seen() -> dict[str, Any]:
        # the kernel ends Popen's wait a moment before it has put the new command line in place
        if found := remote_look.look_at_static_pods({name: ["tls-cert-file"], other: []}):
            return found
        raise NotYet("no such process")

    try:
        found = wait_for(f"the command line of {name}", seen, seconds=SOON, interval=0.01)
    finally:
        process.communicate(timeout=SOON)
    assert set(found) == {name}
    assert found[name]["files"] == {str(kubeconfig): 1000}
    # the kernel tells the second of its start (proc(5), btime)
    assert begun - 2 <= found[name]["since"] <= started + 2


def test_what_pods_were_given_as_their_resolver_is_told_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As containerd 1.7 and 2 keep it: a bundle for each container, sandboxes among them."""
    monkeypatch.setattr(remote_look, "TASKS", tmp_path / "tasks")
    monkeypatch.setattr(remote_look, "SANDBOXES", tmp_path / "sandboxes")
    kinds = {"a": ("sandbox", "coredns-1"), "b": ("container", "coredns-1"), "c": ("sandbox", "ending")}
    for key, (kind, name) in kinds.items():
        marks = {
            "io.kubernetes.cri.container-type": kind,
            "io.kubernetes.cri.sandbox-namespace": "kube-system",
            "io.kubernetes.cri.sandbox-name": name,
        }
        (tmp_path / "tasks" / key).mkdir(parents=True)
        (tmp_path / "tasks" / key / "config.json").write_text(json.dumps({"annotations": marks}))
    (tmp_path / "sandboxes" / "a").mkdir(parents=True)
    (tmp_path / "sandboxes" / "a" / "resolv.conf").write_text("nameserver 10.1.1.1\n")
    assert remote_look.look_at_resolvers() == {"kube-system/coredns-1": "nameserver 10.1.1.1\n"}


def test_links_and_routes_are_those_of_the_kernel() -> None:
    assert remote_look.look_at_links(["lo", "no-such-link"]) == {"lo": ["127.0.0.1/8"]}
    assert all(isinstance(link, str) for link in remote_look.look_at_routes().values())
