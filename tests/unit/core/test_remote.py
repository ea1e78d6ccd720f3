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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.errors import CommandError, FailedError
from lab.hosts.changes import HostChange
from lab.hosts.converge import HostFacts, apply, compare, look
from lab.render.bundle import Bundle, File
from lab.render.components import KUBELET_CONFIG
from lab.render.roles import Unit
from lab.ssh import Result, Ssh

SYSTEMCTL = r"""#!/bin/sh
# What systemctl says of three units, and a note of everything else it was asked to do.
if [ "$1" = show ]; then
    shift 2
    first=yes
    for unit; do
        [ -n "$first" ] || echo
        first=
        case $unit in
            good.service) printf 'ActiveState=active\nUnitFileState=enabled\n';;
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
        stdin: str | Path = "",
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
    assert base64.b64decode(seen["text"]) == "für\xff".encode("latin-1")
    assert (seen["mode"], seen["owner"]) == ("0640", OWNER)
    assert found.files[str(tmp_path / "missing")] is None
    assert found.sysctls == {"kernel.ostype": "Linux", "net.no.such": None}
    assert found.units["good.service"] == {"active": "active", "enabled": "enabled"}
    assert found.units["off.service"] == {"active": "failed", "enabled": "disabled"}
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
    assert seen["owner"] == "54321:54322"


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
    kubelet = {"kubelet.service": {"active": "inactive", "enabled": "enabled"}}
    wanted = bundle(units=(Unit(name="kubelet.service", started_by="kubeadm"),))
    alone = facts(units=facts().units | kubelet)
    member = facts(units=alone.units, exists=dict.fromkeys(facts().exists, True))
    assert compare(wanted, alone) == ()
    assert [change.sentence for change in compare(wanted, member)] == [
        "start kubelet.service (it is inactive)"
    ]


@pytest.mark.parametrize("active", ["active", "activating", "reloading"])
def test_a_unit_on_its_way_is_left_alone(active: str) -> None:
    wanted = bundle(units=(Unit(name="x.service"),))
    assert (
        compare(wanted, facts(units=facts().units | {"x.service": {"active": active, "enabled": "enabled"}}))
        == ()
    )


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


def test_the_program_needs_nothing_but_python(tmp_path: Path) -> None:
    """Isolated mode: no site-packages, no checkout on the path."""
    program = (Path(__file__).parents[3] / "lab/hosts/remote.py").read_text()
    request = {"verb": "change", "write": [], "remove": [], "commands": []}
    told = subprocess.run(
        ["python3", "-I", "-S", "-c", program],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PLUMBLINE_PENDING": str(tmp_path / "pending.json")},
    )
    assert json.loads(told.stdout) == {"failed": None}


def test_the_host_says_where_our_session_comes_from(ssh: HereSsh) -> None:
    """sudo hides the variable from the program, not from the processes above it."""
    ssh.environment |= {"SSH_CONNECTION": "10.1.1.1 50222 10.1.1.50 22"}
    assert look(ssh, bundle()).client == "10.1.1.1"


def test_a_program_without_a_session_says_nothing(ssh: HereSsh) -> None:
    ssh.environment.pop("SSH_CONNECTION", None)
    assert look(ssh, bundle()).client in ("", os.environ.get("SSH_CONNECTION", " ").split(" ")[0])


def kubelet_file(text: str) -> dict[str, dict[str, str] | None]:
    encoded = base64.b64encode(text.encode()).decode()
    return {KUBELET_CONFIG: {"text": encoded, "mode": "0644", "owner": "root:root"}}


def test_a_kubelets_settings_are_merged_into_kubeadms_file_and_the_kubelet_restarted() -> None:
    wanted = replace(bundle(), kubelet={"maxPods": 110, "containerLogMaxSize": "20Mi"})
    member = facts(exists=dict.fromkeys(facts().exists, True))
    same = replace(member, files=kubelet_file("maxPods: 110\ncontainerLogMaxSize: 20Mi\nown: 1\n"))
    assert compare(wanted, same) == ()
    other = replace(member, files=kubelet_file("maxPods: 110\ncontainerLogMaxSize: 10Mi\nown: 1\n"))
    [change] = compare(wanted, other)
    assert change.sentence == (f"{KUBELET_CONFIG}: containerLogMaxSize: 10Mi -> 20Mi; then restart kubelet")
    assert "-containerLogMaxSize: 10Mi\n" in change.diff
    assert change.commands == (("systemctl", "restart", "kubelet"),)
    assert change.file is not None
    assert yaml.safe_load(change.file.text) == {"maxPods": 110, "containerLogMaxSize": "20Mi", "own": 1}
    assert (change.file.owner, change.file.mode) == ("root:root", "0644")


def test_a_node_that_kubeadm_has_not_finished_keeps_its_kubelets_file() -> None:
    wanted = replace(bundle(), kubelet={"maxPods": 110})
    assert compare(wanted, replace(facts(), files=kubelet_file("maxPods: 5\n"))) == ()


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
    same = {"/etc/nftables.conf": {"text": encoded, "mode": "0640", "owner": OWNER}}
    changes = compare(wanted, replace(seen, files=dict(same)))
    assert [change.sentence for change in changes] == ([sentence] if sentence else [])
    reload = (("systemctl", "try-reload-or-restart", "nftables"),)
    assert all(change.commands == reload for change in changes)
