"""The program that is sent to hosts, run here exactly as a host runs it: `python3 -c`, JSON in, JSON out."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lab.errors import CommandError, FailedError
from lab.hosts import programs, remote_look, settled
from lab.hosts.converge import compare, look
from lab.hosts.held import HeldFile
from lab.render.bundle import File
from lab.render.role import Unit
from lab.ssh import Result
from lab.waits import NotYet, wait_for
from tests.soon import SOON
from tests.unit.core.here import OWNER, HereSsh, bundle, file

LOOK: dict[str, Any] = (
    {key: [] for key in ("files", "sysctls", "written", "exists", "owned")}
    | dict.fromkeys(("firewall", "static_pods", "links", "payload", "control_plane"))
    | {"units": ["good.service"]}
)
LOOKED: dict[str, Any] = {
    "pending": [],
    "written": {},
    "static_pods": {},
    "links": {},
    "routes": {},
    "resolvers": {},
}
BORN = settled.asked(["/api/v1/nodes"]) | {"joined": "/nowhere", "controllers": 1}
UNBORN: dict[str, Any] = {"joined": False, "manifests": {}, "certificate": ""}
"""What a machine without a control plane says, whatever runs beside the test."""


def holds(whole: dict[str, Any], part: dict[str, Any]) -> bool:
    return all(
        holds(whole[key], value) if isinstance(value, dict) and value else whole[key] == value
        for key, value in part.items()
    )


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


@pytest.mark.parametrize(
    ("sent", "request_", "answer"),
    [
        ((programs.CHANGE,), {"write": [], "remove": [], "commands": []}, {"failed": None}),
        ((programs.LOOK,), LOOK, LOOKED | {"control_plane": None}),
        ((programs.SETTLED,), BORN, UNBORN),
        (
            (programs.LOOK, programs.SETTLED),
            LOOK | {"control_plane": BORN},
            LOOKED | {"control_plane": UNBORN},
        ),
    ],
)
def test_the_programs_need_nothing_but_python(
    ssh: HereSsh, sent: tuple[Path, ...], request_: dict[str, Any], answer: dict[str, Any]
) -> None:
    """Isolated mode: no site-packages, no checkout on the path; alone, and with what is sent before it."""
    told = subprocess.run(
        ["python3", "-I", "-S", "-c", shlex.split(programs.command(*sent))[2]],
        input=json.dumps(request_),
        capture_output=True,
        text=True,
        check=True,
        env=ssh.environment,
    )
    assert holds(json.loads(told.stdout), answer)


def test_the_host_says_where_our_session_comes_from(ssh: HereSsh) -> None:
    """sudo hides the variable from the program, not from the processes above it."""
    ssh.environment |= {"SSH_CONNECTION": "10.1.1.1 50222 10.1.1.50 22"}
    assert look(ssh, bundle()).client == "10.1.1.1"


def test_a_program_without_a_session_says_nothing(ssh: HereSsh) -> None:
    ssh.environment.pop("SSH_CONNECTION", None)
    assert look(ssh, bundle()).client in ("", os.environ.get("SSH_CONNECTION", " ").split(" ")[0])


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
    kinds = {
        "a": ("sandbox", "coredns-1", 200),
        "b": ("container", "coredns-1", 300),
        "c": ("sandbox", "ending", 200),
        # dead sandboxes that it has not removed yet
        "0": ("sandbox", "coredns-1", 100),
        "z": ("sandbox", "coredns-1", 100),
    }
    for key, (kind, name, made) in kinds.items():
        marks = {
            "io.kubernetes.cri.container-type": kind,
            "io.kubernetes.cri.sandbox-namespace": "kube-system",
            "io.kubernetes.cri.sandbox-name": name,
        }
        (tmp_path / "tasks" / key).mkdir(parents=True)
        config = tmp_path / "tasks" / key / "config.json"
        config.write_text(json.dumps({"annotations": marks}))
        os.utime(config, (made, made))
    for key, server in (("a", "10.1.1.1"), ("0", "10.1.1.2"), ("z", "10.1.1.3")):
        (tmp_path / "sandboxes" / key).mkdir(parents=True)
        (tmp_path / "sandboxes" / key / "resolv.conf").write_text(f"nameserver {server}\n")
    assert remote_look.look_at_resolvers() == {"kube-system/coredns-1": "nameserver 10.1.1.1\n"}


def test_links_and_routes_are_those_of_the_kernel() -> None:
    assert remote_look.look_at_links(["lo", "no-such-link"]) == {"lo": ["127.0.0.1/8"]}
    assert all(isinstance(link, str) for link in remote_look.look_at_routes().values())
