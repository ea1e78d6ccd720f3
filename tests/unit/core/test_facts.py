"""Facts of hosts: answers fit the records, and what does not fit names host, section and key."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.checks.survey import PROGRAM
from lab.errors import FailedError
from lab.hosts import remote_facts, remote_places, remote_survey
from lab.hosts.facts import HostSections, ask
from lab.hosts.settled import look
from lab.hosts.survey import HostSurvey
from tests.fakes import Call, FakeSsh
from tests.host_facts import PI, recorded

REQUEST: dict[str, Any] = {
    "sections": ["system", "files", "sysctls", "modules", "links", "texts", "disks"],
    "files": ["/etc/hostname", "/nowhere"],
    "owned": ["/etc/hostn*", "/nowhere/*"],
    "sysctls": ["net.ipv4.ip_forward", "no.such.name"],
    "modules": ["no_such_module"],
    "texts": ["/etc/hostname", "/nowhere"],
}


@pytest.fixture
def ssh() -> FakeSsh:
    """SSH to this machine: the program itself runs."""

    def here(call: Call) -> str:
        argv = shlex.split(call.command)
        return subprocess.run(argv, input=call.stdin, capture_output=True, text=True, check=True).stdout

    made = FakeSsh()
    made.on("", "python3 -c", here)
    return made


def test_every_section_of_the_program_has_a_record() -> None:
    assert [section.__name__ for section in remote_facts.SECTIONS] == list(HostSections.names)


def test_the_program_reads_this_machine_and_its_answer_fits(ssh: FakeSsh) -> None:
    found = HostSections("here", ask(ssh, "here", REQUEST, seconds=30))
    assert found.files["/nowhere"] is None
    state = found.files["/etc/hostname"]
    assert state is not None
    assert (len(state.sha256), state.owner) == (64, "root:root")
    assert found.sysctls["net.ipv4.ip_forward"] in ("0", "1")
    assert found.sysctls["no.such.name"] is None
    assert found.modules == {"no_such_module": False}
    assert any(link.name == "lo" and "127.0.0.1/8" in link.addresses for link in found.links)
    assert found.texts["/nowhere"] is None
    assert found.system.cpus > 0
    assert found.disks.filesystems["/"].total > 0


def test_units_and_clock_are_told_as_their_records_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that this machine may not have stand in: what they print is recorded."""
    service = "Id=kubelet.service\nActiveState=active\nSubState=running\n"
    service += "UnitFileState=enabled\nNRestarts=2\nActiveEnterTimestampMonotonic=1000000\n"
    timer = "Id=x.timer\nActiveState=inactive\nSubState=dead\nUnitFileState=static\n"
    timer += "ActiveEnterTimestampMonotonic=0\n"
    tracking = "0A010132,10.1.1.50,2,1790000000.1,-0.000012,0.1,0.2,1.0,0.0,0.3,0.001,0.002,64.5,Normal\n"
    said = {"systemctl": f"{service}\n{timer}", "chronyc": tracking}
    monkeypatch.setattr(remote_facts, "said", lambda *command: said[command[0]])
    request = {"units": ["kubelet.service", "x.timer"]}
    answer = {"units": remote_facts.units(request), "clock": remote_facts.clock(request)}
    found = HostSections("pi-1", answer)
    assert (found.units["kubelet.service"].restarts, found.units["x.timer"].restarts) == (2, 0)
    assert found.units["kubelet.service"].active_seconds > 0
    assert found.units["x.timer"].active_seconds == 0
    assert (found.clock.offset_seconds, found.clock.leap) == (-0.000012, "Normal")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (recorded(system__cpus="4"), "pi-1: system.cpus: '4': Input should be a valid integer"),
        (recorded(system__cores=4), "pi-1: system.cores: 4: Extra inputs are not permitted"),
        ({"system": {"cpus": 4}}, "pi-1: system.machine: Field required"),
        (recorded(system=[]), r"pi-1: system: \[\]: Input should be a valid dictionary"),
        (recorded(system={"error": "OSError: no"}), "pi-1: system: OSError: no"),
        ({}, "pi-1: system: was not asked for"),
    ],
)
def test_what_does_not_fit_names_host_section_and_key(answer: dict[str, Any], told: str) -> None:
    with pytest.raises(FailedError, match=told):
        _ = HostSections("pi-1", answer).system


def test_keys_of_a_list_and_of_a_table_are_named_as_well() -> None:
    links = [PI["links"][0], PI["links"][0] | {"mtu": "1500"}]
    with pytest.raises(FailedError, match=r"pi-1: links\.1\.mtu: '1500'"):
        _ = HostSections("pi-1", {"links": links}).links
    with pytest.raises(FailedError, match=r"pi-1: files\./etc/hosts\.mode: Field required"):
        _ = HostSections("pi-1", {"files": {"/etc/hosts": {"sha256": "", "owner": "root:root"}}}).files


def test_a_section_that_does_not_fit_hides_none_of_the_others() -> None:
    found = HostSections("pi-1", recorded(links=[{}]))
    assert found.system.hostname == "pi-1"
    with pytest.raises(FailedError):
        _ = found.links


@pytest.mark.parametrize("said", ["Welcome!\n", "[]"])
def test_an_answer_that_is_no_object_names_the_host(said: str) -> None:
    ssh = FakeSsh()
    ssh.on("", "python3 -c", said)
    with pytest.raises(FailedError, match="pi-1: an answer that is no JSON"):
        ask(ssh, "pi-1", REQUEST, seconds=30)


def test_a_master_that_holds_nothing_answers_what_its_record_wants(ssh: FakeSsh) -> None:
    """The program itself, on a machine without a control plane."""
    living = look(ssh, ["here"])
    assert living.silent == {}
    assert living.masters == {}, "it has not joined"


def test_a_master_whose_answer_does_not_fit_is_silent_and_says_why() -> None:
    ssh = FakeSsh()
    ssh.on("", "python3 -c", '{"joined": "yes"}')
    assert look(ssh, ["master-1"]).silent == {
        "master-1": "master-1: control plane.joined: 'yes': Input should be a valid boolean"
    }


def test_every_section_of_the_survey_has_a_record() -> None:
    assert [section.__name__ for section in remote_survey.SECTIONS] == list(HostSurvey.names)


def test_the_survey_reads_this_machine_and_its_answer_fits(ssh: FakeSsh) -> None:
    """What stands in several files is sent as one program."""
    request = {
        "sections": ["states", "entries", "mounts", "time_zone", "secrets", "accounts"],
        "states": ["/", "/etc/passw*", "/nowhere/*"],
        "entries": ["/etc/host[n]ame", "/etc/cron.d/*"],
        "secrets": ["/etc/hostname"],
    }
    found = HostSurvey("here", ask(ssh, "here", request, seconds=30, program=PROGRAM))
    assert found.states["/"].kind == "folder"
    assert found.states["/etc/passwd"].owner == "root:root"
    assert found.entries[-1].text
    assert any(item.target == "/proc" for item in found.mounts)
    assert found.time_zone.rule
    assert not found.secrets
    assert {one.name: one.number for one in found.accounts}["root"] == 0


def test_units_of_nobody_and_their_parts_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """systemctl and dpkg's lists are recorded; a unit has one Id and several names."""
    (tmp_path / "info").mkdir()
    (tmp_path / "info" / "openssh-server.list").write_text("/lib/systemd/system/ssh.service\n")
    (tmp_path / "status").write_text("Package: openssh-server\n")
    monkeypatch.setattr(remote_places, "DPKG", tmp_path)
    ssh = "Id=ssh.service\nActiveState=active\nUnitFileState=enabled\nTransient=no\n"
    ssh += "FragmentPath=/usr/lib/systemd/system/ssh.service\n"
    ssh += "DropInPaths=/etc/systemd/system/ssh.service.d/9.conf\n"
    run = "Id=run-r1.timer\nActiveState=active\nUnitFileState=transient\nTransient=yes\n"
    run += "FragmentPath=/run/systemd/transient/run-r1.timer\nDropInPaths=\n"
    gone = "Id=gone.service\nActiveState=inactive\nTransient=no\n"
    listed = "ssh.service enabled enabled\nsshd.service alias -\n"
    listed += "getty@.service enabled enabled\nx.socket masked -\n"
    loaded = "run-r1.timer loaded active waiting x\nsshd.service loaded active running x\n-.mount a b c d\n"
    asked: list[tuple[str, ...]] = []

    def said(*command: str) -> str:
        asked.append(command)
        if command[1] == "list-unit-files":
            return listed
        if command[1] == "list-units":
            return loaded
        return "\n".join((ssh, ssh, run, gone))

    monkeypatch.setattr(remote_survey, "said", said)
    answer = remote_survey.units({"units": ["gone.service"]})
    assert asked[-1][3:] == ("gone.service", "run-r1.timer", "ssh.service", "sshd.service", "x.socket")
    found = {unit.name: unit for unit in HostSurvey("here", {"units": answer}).units}
    assert found["ssh.service"].package == "openssh-server"
    assert found["ssh.service"].drop_ins == ["/etc/systemd/system/ssh.service.d/9.conf"]
    assert found["run-r1.timer"].transient
    assert (found["gone.service"].file, found["gone.service"].enabled) == ("", "")


def test_sockets_tell_program_unit_and_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        'tcp LISTEN 0 5 0.0.0.0:9999 0.0.0.0:* users:(("socat",pid=7,fd=5))\n'
        'tcp LISTEN 0 5 [::1]:6010 [::]:* users:(("sshd",pid=8,fd=5))\n'
        "udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\n"
    )
    groups = {
        "7": "/system.slice/mend.service",
        "8": "/kubepods.slice/kubepods-x.slice/cri-containerd-y.scope",
    }
    monkeypatch.setattr(remote_survey, "said", lambda *_: lines)
    monkeypatch.setattr(remote_survey, "cgroup", lambda process: groups[process])
    found = HostSurvey("here", {"sockets": remote_survey.sockets({})}).sockets
    assert [(one.address, one.port, one.process, one.unit, one.pod) for one in found] == [
        ("0.0.0.0", 9999, "socat", "mend.service", False),
        ("::1", 6010, "sshd", "", True),
        ("127.0.0.53", 53, "", "", False),
    ]


def test_secrets_are_told_by_their_kind_and_never_by_what_they_are(tmp_path: Path) -> None:
    server = "server: https://10.1.1.50:6443\n"
    (tmp_path / "config").write_text(
        f"clusters:\n- cluster:\n    {server}users:\n    client-key-data: abc=\n"
    )
    join = "apiServerEndpoint: 10.1.1.50:6443\n    token: abcdef.0123456789abcdef\n"
    (tmp_path / "join.yaml").write_text(f"discovery:\n  bootstrapToken:\n    {join}")
    (tmp_path / "notes").write_text("system.abcdefghijklmnop is no token\nserver: x\n")
    answer = remote_survey.secrets({"secrets": [f"{tmp_path}/*"]})
    found = {
        Path(one.path).name: (one.kind, one.server) for one in HostSurvey("here", {"secrets": answer}).secrets
    }
    assert found == {"config": ("key", "10.1.1.50:6443"), "join.yaml": ("token", "10.1.1.50:6443")}
    assert "0123456789abcdef" not in str(answer)
