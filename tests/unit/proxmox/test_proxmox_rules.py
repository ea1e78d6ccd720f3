"""The rules of the Proxmox VE provider without a Proxmox VE: repeating, following, owning, comparing."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from invoke.exceptions import Exit

from lab.errors import DeadlineError, FailedError, InputError, PreflightError
from lab.providers.proxmox import api as proxmox_api
from lab.providers.proxmox import cli as proxmox_commands
from lab.providers.proxmox import retry as proxmox_retry
from lab.providers.proxmox import tasks as proxmox_tasks
from lab.providers.proxmox.agent import lan_address, verdict
from lab.providers.proxmox.api import ProxmoxApi, secret
from lab.providers.proxmox.fleet import Fleet, FleetRow
from lab.providers.proxmox.mark import ProxmoxMark, read_mark, tags
from lab.providers.proxmox.plan import (
    MachineStep,
    Seen,
    configuration,
    differences,
    disk_gib,
    next_step,
    sentences,
)
from lab.providers.proxmox.retry import BusyError, LostError, ProxmoxApiError, judged, persist, read
from lab.providers.proxmox.rights import Need, held, missing, needs, role_commands
from lab.providers.proxmox.section import Proxmox
from lab.providers.proxmox.tasks import Pacer, Tasks, Upid
from lab.steps.machines import outline
from lab.waits import NotYet
from tests.fakes import FakeClock
from tests.world import inventory

UPID = "UPID:pve-1:0000A1B2:00C3D4E5:65A1B2C3:qmclone:9000:plumbline@pve!build:"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(proxmox_retry, "time", made)
    monkeypatch.setattr(proxmox_tasks, "time", made)
    return made


def refusal(status: int, reason: str) -> ProxmoxApiError:
    return ProxmoxApiError("POST x", status, reason, {})


@pytest.mark.parametrize(
    ("status", "reason", "change", "kind"),
    [
        (595, "Connection refused", True, LostError),
        (596, "Broken pipe", True, LostError),
        (596, "error:0A000086:SSL routines::certificate verify failed", True, ProxmoxApiError),
        (596, "tls_process_server_certificate: certificate verify failed", False, ProxmoxApiError),
        (597, "Connection timed out", True, LostError),
        (599, "Too many redirections", False, LostError),
        (502, "Bad Gateway", True, LostError),
        (500, "can't lock file '/x' - got timeout", True, BusyError),
        (500, "VM is locked (clone)", True, BusyError),
        (500, "Configuration file 'nodes/a/qemu-server/1.conf' does not exist", True, BusyError),
        (500, "Configuration file 'nodes/a/qemu-server/1.conf' does not exist", False, ProxmoxApiError),
        (500, "VM 101 already running", True, BusyError),
        (403, "Permission check failed (/vms/101, VM.Clone)", True, ProxmoxApiError),
        (400, "Parameter verification failed.", True, ProxmoxApiError),
        (500, "unable to create VM 101: config file already exists", True, ProxmoxApiError),
    ],
)
def test_what_a_refusal_means(status: int, reason: str, change: bool, kind: type[FailedError]) -> None:
    assert type(judged(refusal(status, reason), change=change)) is kind


@pytest.mark.parametrize(
    ("status", "reason", "words", "hint"),
    [
        (595, "No route to host", "got no connection to the node that does the work", "pvecm status"),
        (596, "Connection timed out", "reached the node that does the work, and lost it then", "pveproxy"),
        (596, "certificate verify failed", "does not trust the one that was asked for", "pvecm updatecerts"),
        (597, "Broken pipe", "in the middle of its answer", "pvecm status"),
    ],
)
def test_a_code_that_http_does_not_know_has_words_of_its_own(
    status: int, reason: str, words: str, hint: str
) -> None:
    said = judged(refusal(status, reason), change=True)
    assert reason in said.message
    assert words in said.message
    assert hint in said.next_step


def test_what_to_do_about_a_lost_call_outlives_its_repetitions() -> None:
    lost = judged(refusal(596, "Connection timed out"), change=True)
    with pytest.raises(FailedError, match="given up after 12 attempts") as refused:
        persist("x", lambda: _give([lost]), seconds=600)
    assert "pveproxy" in refused.value.next_step
    with pytest.raises(DeadlineError, match="lost it then") as late:
        read("x", lambda: _give([lost]))
    assert "pveproxy" in late.value.next_step


def test_a_read_is_repeated_with_growing_pauses_until_an_answer(clock: FakeClock) -> None:
    answers: list[Any] = [LostError("lost"), LostError("lost"), BusyError("busy"), "here"]

    def ask() -> str:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return str(given)

    assert read("x", ask) == "here"
    assert clock.now == pytest.approx(1000 + 0.2 + 0.4 + 0.8)


def test_a_read_that_is_never_answered_ends_at_its_deadline_with_the_last_loss(clock: FakeClock) -> None:
    def ask() -> str:
        raise LostError("no answer from https://pve")

    with pytest.raises(DeadlineError, match=r"GET /nodes: not within 60 s; last seen: no answer"):
        read("GET /nodes", ask)
    assert 50 < clock.now - 1000 <= 60


def test_c22_a_step_is_repeated_until_nothing_is_missing(clock: FakeClock) -> None:
    answers: list[Any] = [None, NotYet("locked"), LostError("lost"), None, True]
    assert persist("x", lambda: _give(answers), seconds=60) is True
    assert answers == []
    assert clock.naps == 2


def test_losses_in_a_row_are_limited_and_the_last_is_told() -> None:
    answers: list[Any] = [LostError("lost")] * 11 + [None] + [BusyError("locked again")] * 12
    with pytest.raises(FailedError, match="given up after 12 attempts; last seen: locked again"):
        persist("x", lambda: _give(answers), seconds=600)


def test_a_refusal_ends_a_step_at_once(clock: FakeClock) -> None:
    with pytest.raises(ProxmoxApiError, match="403"):
        persist("x", lambda: _give([refusal(403, "no")]), seconds=60)
    assert clock.naps == 0


def test_c22_a_lock_that_stays_ends_at_the_deadline() -> None:
    with pytest.raises(DeadlineError, match=r"x: not within 60 s; last seen: locked \(clone\)"):
        persist("x", lambda: _give([NotYet("locked (clone)")]), seconds=60)


def _give(answers: list[Any]) -> Any:
    given = answers.pop(0) if len(answers) > 1 else answers[0]
    if len(answers) == 1 and given is True:
        answers.clear()
    if isinstance(given, Exception):
        raise given
    return given


class Script:
    """Answers of a task's status in turn, the last for ever; its log."""

    def __init__(self, *answers: Any, log: tuple[str, ...] = ()) -> None:
        self.answers, self.lines, self.asked = list(answers), log, 0

    def once(self, path: str) -> Any:
        assert path == f"nodes/pve-1/tasks/{UPID}/status"
        self.asked += 1
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given

    def get(self, path: str, **_: Any) -> Any:
        assert path.endswith("/log")
        return [{"n": number, "t": line} for number, line in enumerate(self.lines)]


def follow(script: Script, said: list[str] | None = None, seconds: float = 60) -> None:
    told = said if said is not None else []
    Tasks(cast("ProxmoxApi", script), told.append).follow(UPID, seconds=seconds)


STOPPED = {"status": "stopped"}


def test_c20_a_task_that_ends_well() -> None:
    script = Script({"status": "running"}, {"status": "running"}, STOPPED | {"exitstatus": "OK"})
    follow(script)
    assert script.asked == 3


def test_c20_warnings_are_reported_with_the_line_of_the_log_and_are_no_failure() -> None:
    said: list[str] = []
    script = Script(STOPPED | {"exitstatus": "WARNINGS: 1"}, log=("begin", "WARN: no such bridge", "TASK W"))
    follow(script, said)
    assert said == ["task qmclone 9000 on pve-1: WARNINGS: 1: WARN: no such bridge"]


def test_c20_a_failure_has_its_text_the_log_s_tail_and_the_node() -> None:
    lines = tuple(f"line {number}" for number in range(40))
    with pytest.raises(FailedError, match=r"on pve-1 failed: clone failed: no space left") as failed:
        follow(Script(STOPPED | {"exitstatus": "clone failed: no space left"}, log=lines))
    assert "line 39" in failed.value.message
    assert "line 27" not in failed.value.message
    assert UPID in failed.value.next_step


def test_c20_a_task_without_a_status_is_a_failure() -> None:
    with pytest.raises(FailedError, match="ended without a status"):
        follow(Script(STOPPED))


def test_c20_a_task_that_never_ends_is_a_deadline_that_names_it_and_is_asked_seldom() -> None:
    script = Script({"status": "running"}, log=("still copying",))
    with pytest.raises(DeadlineError, match=r"task qmclone 9000 on pve-1: not within 300 s.*still copying"):
        follow(script, seconds=300)
    assert script.asked < 150


def test_c20_a_task_may_be_unknown_when_it_is_new_and_not_later() -> None:
    missing_task = ProxmoxApiError("GET x", 400, "Parameter verification failed.", {"upid": "no such task"})
    follow(Script(missing_task, {"status": "running"}, STOPPED | {"exitstatus": "OK"}))
    with pytest.raises(ProxmoxApiError, match="no such task"):
        follow(Script(missing_task))


def test_tasks_together_are_asked_at_a_bounded_rate(clock: FakeClock) -> None:
    pacer, passed = Pacer(25), []
    for _ in range(100):
        clock.now = 1000.0  # all of them come at once
        pacer.wait(0.2)
        passed.append(clock.now)
    assert passed[0] == pytest.approx(1000.2)
    assert {round(after - before, 6) for before, after in pairwise(passed)} == {0.04}


def test_what_is_no_upid_is_refused() -> None:
    with pytest.raises(FailedError, match="where the name of a task was due"):
        Upid.parse("null")


def test_a_mark_belongs_to_one_number_and_leaves_people_s_words_alone() -> None:
    mark = ProxmoxMark("lab", "dev", "master-1", 101)
    text = mark.within("ask Eve before you touch it\nplumbline lab=dev name=master-1 id=99")
    assert text.splitlines() == ["plumbline lab=dev name=master-1 id=101", "ask Eve before you touch it"]
    assert read_mark(f"{text}\n", 101) == mark
    assert read_mark(text, 102) is None, "a copy made by hand"
    assert read_mark("plumbline%20lab%3Ddev%20name%3Dmaster-1%20id%3D101%0A", 101) == mark
    assert read_mark(None, 101) is None
    assert tags("b; a,c d") == {"a", "b", "c", "d"}


class Moving:
    """A cluster in which machine 101 goes from one node to the other while the lists are read."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = list(nodes)

    def get(self, path: str, **_: Any) -> Any:
        if path == "cluster/resources":
            there = self.nodes.pop(0)
            return [{"type": "qemu", "vmid": 101, "node": there, "name": "master-1"}] if there else []
        return {
            "access/permissions": {"/vms": {"VM.Audit": 1}},
            "nodes": [{"node": node, "status": "online"} for node in ("pve-1", "pve-2")],
        }.get(path, [])


def test_a_machine_that_moves_while_it_is_looked_for_is_not_gone() -> None:
    fleet = Fleet(cast("ProxmoxApi", Moving("pve-1", "pve-2")), "test", {})
    assert fleet.rows()[101].node == "pve-2"
    fleet = Fleet(cast("ProxmoxApi", Moving("pve-1", "")), "test", {})
    assert fleet.rows() == {}, "removed meanwhile"


MACHINE = outline(inventory(), "master-1")
ROW = FleetRow(101, "pve-1", "master-1", "running", "", frozenset({"plumbline"}), template=False)
WANTED = {
    "cores": 4,
    "memory": 8192,
    "net0": "virtio=02:AB:00:00:00:01,bridge=vmbr0",
    "tags": "plumbline;plumbline-test",
    "onboot": 1,
    "description": "plumbline lab=test name=master-1 id=101",
}
CONFIG = {
    **WANTED,
    "memory": "8192",
    "tags": "plumbline-test,plumbline",
    "net0": "bridge=vmbr0,virtio=02:ab:00:00:00:01",
    "ipconfig0": "ip=10.1.1.11/24",
    "scsi0": "local-lvm:vm-101-disk-0,discard=on,size=100G",
    "digest": "abc",
}


def seen(status: str = "running", lock: str = "", protected: bool | None = None, **config: Any) -> Seen:
    row = FleetRow(101, "pve-1", "master-1", status, lock, frozenset(), template=False)
    return Seen(row, {key: item for key, item in {**CONFIG, **config}.items() if item is not None}, protected)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (None, MachineStep.CLONE),
        (seen(lock="clone"), MachineStep.WAIT),
        (seen(scsi0=None, lock="clone"), MachineStep.WAIT),
        (seen("stopped", scsi0=None), MachineStep.DISCARD),
        (seen("stopped", ipconfig0=None), MachineStep.CONFIGURE),
        (seen(cores=2), MachineStep.CONFIGURE),
        (seen(scsi0="a:b,size=2252M"), MachineStep.GROW),
        (replace(seen(), snippet=False), MachineStep.SNIPPET),
        (replace(seen("stopped"), snippet=False), MachineStep.SNIPPET),
        (replace(seen(), snippet=True), MachineStep.DONE),
        (seen(protected=False), MachineStep.PROTECT),
        (seen("stopped", protected=True), MachineStep.START),
        (seen("paused"), MachineStep.RESUME),
        (seen(), MachineStep.DONE),
    ],
)
def test_the_next_step_follows_from_what_is_there(found: Seen | None, step: MachineStep) -> None:
    assert next_step(MACHINE, WANTED, found) is step


def test_two_spellings_of_the_same_are_no_difference() -> None:
    assert differences(WANTED, CONFIG) == {}


def test_a_change_says_what_was_and_when_it_takes_effect() -> None:
    assert sentences(MACHINE, WANTED, seen(cores=2, onboot=0)) == (
        "cores: 2 -> 4; it takes effect when the machine is next switched off and on",
        "onboot: 0 -> 1",
    )
    assert sentences(MACHINE, WANTED, seen("stopped", memory=4096)) == ("memory: 4096 -> 8192",)
    assert sentences(MACHINE, WANTED, seen(scsi0="a:b,size=50G")) == (
        "disk: 50 GiB -> 100 GiB; the file system follows at the next boot",
    )


def test_a_disk_never_shrinks() -> None:
    with pytest.raises(PreflightError, match="has 200 GiB, and a disk never shrinks"):
        sentences(MACHINE, WANTED, seen(scsi0="a:b,size=200G"))


def test_one_call_configures_all_of_a_new_machine_and_the_differences_of_an_old_one() -> None:
    mark = ProxmoxMark("lab", "test", "master-1", 101)
    new = configuration(WANTED, seen(ipconfig0=None), mark)
    assert set(new) == {*WANTED, "digest"}
    assert configuration(WANTED, seen(cores=2), mark) == {"cores": 4, "digest": "abc"}


@pytest.mark.parametrize(
    ("disk", "gib"), [("s:v,size=32G", 32), ("s:v,size=2252M", 2252 / 1024), ("s:v,size=1T", 1024), ("", 0)]
)
def test_the_size_of_a_disk(disk: str, gib: float) -> None:
    assert disk_gib({"scsi0": disk}) == gib


def test_a_privilege_is_inherited_only_where_it_is_passed_on() -> None:
    granted = {"/": {"Sys.Audit": 1, "SDN.Use": 0}, "/storage/local": {"Datastore.Audit": 0}}
    assert held(granted, "/nodes/pve-1", "Sys.Audit")
    assert not held(granted, "/sdn/zones/localnetwork/vmbr0", "SDN.Use")
    assert held(granted, "/storage/local", "Datastore.Audit")
    assert not held(granted, "/storage/local", "Sys.Audit"), "the nearer path decides"


def test_c19_what_a_token_lacks_is_told_with_the_command_for_each_right() -> None:
    need = Need("PlumblineDisks", "/storage/x", ("Datastore.AllocateSpace", "Datastore.Audit"))
    nothing = missing([need], {}, "u@pve!t")
    assert [problem.wanted for problem in nothing] == ["Datastore.AllocateSpace", "Datastore.Audit"]
    assert nothing[0].fix == (
        "pveum acl modify /storage/x --users u@pve --tokens 'u@pve!t' --roles PlumblineDisks"
    )
    one = missing([need], {"/storage/x": {"Datastore.Audit": 1}}, "u@pve!t")
    assert [problem.wanted for problem in one] == ["Datastore.AllocateSpace"]
    assert one[0].fix.startswith("pveum role modify PlumblineDisks --privs")


def test_c19_the_rights_follow_the_version_and_the_token_comes_before_its_rights() -> None:
    from lab.inventory import load

    production = load("production")
    eight = needs(production, production.section(Proxmox), 8)
    nine = needs(production, production.section(Proxmox), 9)
    assert "VM.Monitor" in eight[0].privileges
    assert "VM.Monitor" not in nine[0].privileges
    assert "VM.GuestAgent.Audit" in nine[0].privileges
    commands = role_commands(eight, production.section(Proxmox).token)
    kinds = [" ".join(command.split()[1:3]) for command in commands]
    assert kinds == sorted(kinds, key=["role add", "user add", "user token", "acl modify"].index)


LAN = IPv4Network("10.1.1.0/24")
MAC = "02:00:00:00:00:31"


@pytest.mark.parametrize(
    ("interfaces", "address"),
    [
        ([{"name": "lo", "hardware-address": "00:00:00:00:00:00"}], None),
        ([{"name": "ens18", "hardware-address": MAC}], None),
        ([{"name": "cni0", "hardware-address": "0a:1", "ip-addresses": [{"ip-address": "10.1.1.3"}]}], None),
        ([{"hardware-address": MAC, "ip-addresses": [{"ip-address": "fe80::1%ens18"}]}], None),
        ([{"hardware-address": MAC, "ip-addresses": [{"ip-address": "10.244.3.1"}]}], None),
        ([{"hardware-address": MAC.upper(), "ip-addresses": [{"ip-address": "10.1.1.31"}]}], "10.1.1.31"),
    ],
)
def test_c23_only_the_card_with_our_mac_and_only_the_lan_count(
    interfaces: list[dict[str, Any]], address: str | None
) -> None:
    found = lan_address(interfaces, MAC, LAN)
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, r"agent: QEMU guest agent is not running \(is qemu-guest-agent in the image\?\)"),
        ([], "the card {mac} has no address of 10.1.1.0/24 yet"),
        (["10.1.1.199"], r"the machine has 10.1.1.199; the inventory says 10.1.1.11 \(is a DHCP server"),
        (["fe80::1", "10.1.1.11"], "agent: the machine has 10.1.1.11, as the inventory says"),
    ],
)
def test_c23_what_the_agent_says_is_one_sentence(told: list[str] | None, words: str) -> None:
    class Agent:
        def get(self, path: str) -> Any:
            assert path == "nodes/pve-1/qemu/101/agent/network-get-interfaces"
            if told is None:
                raise ProxmoxApiError("GET x", 500, "QEMU guest agent is not running", {})
            bridge = {
                "name": "cni0",
                "hardware-address": "0a:1",
                "ip-addresses": [{"ip-address": "10.1.1.9"}],
            }
            card = {"hardware-address": MACHINE.mac, "ip-addresses": [{"ip-address": item} for item in told]}
            return {"result": [bridge, card]}

    assert re.search(words.replace("{mac}", MACHINE.mac), verdict(cast("ProxmoxApi", Agent()), ROW, MACHINE))


def test_the_secret_comes_from_the_environment_or_a_file_that_nobody_else_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.proxmox-secret"
    monkeypatch.setattr(proxmox_api, "secret_file", lambda _: file)
    monkeypatch.delenv("PLUMBLINE_PROXMOX_SECRET", raising=False)
    with pytest.raises(InputError, match="neither in PLUMBLINE_PROXMOX_SECRET nor in"):
        secret("site")
    file.write_text("a-secret\n")
    file.chmod(0o644)
    with pytest.raises(InputError, match="others can read this secret") as refused:
        secret("site")
    assert "a-secret" not in str(refused.value)
    file.chmod(0o600)
    assert secret("site") == "a-secret"
    monkeypatch.setenv("PLUMBLINE_PROXMOX_SECRET", "another")
    assert secret("site") == "another"


@pytest.mark.parametrize(("version", "code"), [(7, 2), (8, 0), (9, 0), (10, 2)])
def test_rights_are_printed_for_the_versions_that_are_known(
    version: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    got = 0
    try:
        proxmox_commands.role("production", version)
    except Exit as left:
        got = left.code
    told = capsys.readouterr()
    assert got == code
    assert ("pveum role add" in told.out) == (not code)
    if code:
        assert told.err == (
            f"error: --version {version}: must be 8 or 9\n  next: invoke proxmox.role --version 9\n"
        )
