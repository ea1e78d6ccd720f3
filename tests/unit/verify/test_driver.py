"""Looking at a lab: what keeps a check from looking is never an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.checks import cluster as cluster_module
from lab.checks.cluster import Cluster
from lab.checks.driver import Driver
from lab.checks.facts import FactStore
from lab.checks.items import short_id
from lab.checks.outcomes import CouldNotTell, Outcome
from lab.checks.verbs import Refused
from lab.cluster.api import ApiError, Unavailable
from lab.cluster.etcd_answers import MEMBERS
from lab.errors import CommandError, DeadlineError, FailedError
from lab.ssh import Result
from lab.verify.judging import judged
from tests.fakes import FakeSsh
from tests.host_facts import recorded

FACTS = recorded(system__hostname="master-1", sockets={"error": "FileNotFoundError: ss"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (FailedError("master-1: not reachable by SSH: timed out"), "not reachable"),
        (DeadlineError("master-1: `true`", 30, "still running"), "not within 30 s"),
        (Result(127, "", "sh: 1: crictl: not found"), "crictl: not found"),
        (Result(126, "", "sh: 1: crictl: Permission denied"), "Permission denied"),
    ],
)
def test_what_keeps_us_from_looking_is_could_not_tell(
    driver: Driver, ssh: FakeSsh, answer: Result | Exception, said: str
) -> None:
    ssh.on("master-1", "crictl", answer)
    with pytest.raises(CouldNotTell, match=said) as caught:
        driver.ask("master-1", "crictl ps")
    assert judged(caught.value)[0] is Outcome.COULD_NOT_TELL


def test_an_exit_code_is_for_the_check_to_judge_unless_it_only_reads(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("", "ping", Result(1, "100% packet loss", ""))
    assert driver.ask("worker-1", "ping x").code == 1
    with pytest.raises(CouldNotTell, match="exit code 1: 100% packet loss"):
        driver.read("worker-1", "ping x")


def test_etcd_is_asked_on_the_first_master_that_answers(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("", "etcdctl", json.dumps({"header": {}, "members": [{"ID": 2**63, "peerURLs": ["x"]}]}))
    ssh.on("master-1", "etcdctl", FailedError("master-1: not reachable by SSH"))
    [member] = driver.etcdctl("member list", MEMBERS).members
    assert (member.id, member.name, member.peers, member.learner) == (2**63, "", ["x"], False)
    with pytest.raises(CouldNotTell, match="not reachable"):
        driver.etcdctl("member list", MEMBERS, through="master-1")
    ssh.on("", "etcdctl", "no JSON")
    with pytest.raises(CouldNotTell, match="etcdctl member list"):
        driver.etcdctl("member list", MEMBERS)
    ssh.on("", "etcdctl", json.dumps({"members": [{"ID": "x", "peerURLs": []}]}))
    with pytest.raises(CouldNotTell, match=r"master-2: etcd\.members\.0\.ID: 'x'"):
        driver.etcdctl("member list", MEMBERS)


def test_facts_are_asked_once_and_kept(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("master-1", "python3 -c", json.dumps(FACTS))
    facts = driver.facts.get("master-1")
    assert facts.system.hostname == "master-1"
    driver.facts.get("master-1")
    FactStore(driver.folder / "facts", ssh, {"master-1": {}}).get("master-1")
    assert len(ssh.calls) == 1
    driver.facts.fresh("master-1")
    assert len(ssh.calls) == 2


def test_a_fact_that_could_not_be_read_says_so_when_it_is_asked_for(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("master-1", "python3 -c", json.dumps(FACTS))
    facts = driver.facts.get("master-1")
    with pytest.raises(CouldNotTell, match="master-1: sockets: FileNotFoundError"):
        facts.listens(6443, "tcp")


@pytest.mark.parametrize(
    "answer",
    [
        FailedError("master-1: not reachable by SSH: timed out"),
        DeadlineError("master-1: `python3`", 45, "still running"),
        CommandError("master-1", "python3", 1, "Traceback"),
        "no JSON",
    ],
)
def test_an_unreachable_host_is_known_after_one_try(
    driver: Driver, ssh: FakeSsh, answer: str | Exception
) -> None:
    ssh.on("", "python3 -c", answer)
    for _ in range(3):
        with pytest.raises(CouldNotTell):
            driver.facts.get("master-1")
    assert len(ssh.calls) == 1


class Script:
    """An API that gives one answer after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def _next(self, *_: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    request = get = items = delete = _next


def asking(*answers: Any) -> Cluster:
    found = Cluster.__new__(Cluster)
    found._api = Script(*answers)  # type: ignore[assignment]
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "ASKED_AGAIN_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_api_that_does_not_judge_could_not_tell(status: int) -> None:
    with pytest.raises(CouldNotTell):
        asking(*[ApiError("GET /x", status, "no")] * 3).request("GET", "/x")
    with pytest.raises(CouldNotTell):
        asking(*[ApiError("GET /x", status, "no")] * 3).items("/x")


def test_an_api_that_judges_refuses() -> None:
    with pytest.raises(Refused, match="422"):
        asking(ApiError("POST /x", 422, "invalid")).create("/x", {})


def test_a_cut_connection_is_asked_again_but_a_creation_is_not() -> None:
    assert asking(Unavailable("cut"), [{"kind": "Pod"}]).items("/x") == [{"kind": "Pod"}]
    with pytest.raises(CouldNotTell, match="cut"):
        asking(Unavailable("cut"), {}).create("/x", {})


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_what_passes_is_asked_again_where_nothing_is_changed(status: int) -> None:
    """As `500: etcdserver: leader changed`, seen on a machine with a load of 50."""
    passing = ApiError("GET /x", status, "etcdserver: leader changed")
    assert asking(passing, {"kind": "Pod"}).get("/x") == {"kind": "Pod"}
    for method in ("POST", "PATCH", "DELETE"):
        with pytest.raises(CouldNotTell, match="leader changed"):
            asking(passing, {}).request(method, "/x")


@pytest.mark.usefixtures("impatient")
def test_an_api_that_stays_away_could_not_tell() -> None:
    with pytest.raises(CouldNotTell, match="away"):
        asking(Unavailable("away"), Unavailable("away"), Unavailable("away")).get("/x")


def test_names_of_tests_are_short_and_keep_their_parameters() -> None:
    assert short_id("tests/acceptance/test_x.py::test_a[10.0.0.0/8]") == "test_x.py::test_a[10.0.0.0/8]"
    assert short_id("../../tmp/x/test_x.py::test_a") == "test_x.py::test_a"
