"""Facts of hosts: answers fit the records, and what does not fit names host, section and key."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any

import pytest

from lab.checks.survey import PROGRAM
from lab.errors import FailedError
from lab.hosts import remote_facts, remote_survey
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
