"""etcd's members, and the dead member of a machine that is to join again (C14)."""

from __future__ import annotations

import json

import pytest

from lab.cluster.etcd import Member, healthy, members, remove_stale
from lab.errors import CommandError, FailedError
from lab.ssh import Result
from tests.fakes import Call, FakeSsh

M1, M2, M3 = "10.1.1.11", "10.1.1.12", "10.1.1.13"


class FakeEtcd:
    """A member list and who of it answers, behind `etcdctl` on a master."""

    def __init__(self, *alive: str, members: dict[str, str], learners: tuple[str, ...] = ()) -> None:
        """`members`: name ("" for one that never started) by address; `alive`: addresses that answer."""
        self.members, self.alive, self.learners = dict(members), set(alive), learners
        self.removed: list[str] = []
        self.ssh = FakeSsh()
        self.ssh.on("", "member list", self._list)
        self.ssh.on("", "endpoint health --cluster", self._health)
        self.ssh.on("", "member remove", self._remove)

    def identity(self, address: str) -> int:
        return 0xF00000000000000 + int(address.rsplit(".", 1)[1])

    def _list(self, _: Call) -> str:
        listed = []
        for address, name in self.members.items():
            entry = {"ID": self.identity(address), "peerURLs": [f"https://{address}:2380"]}
            if name:  # an unstarted member has neither name nor client URLs
                entry |= {"name": name, "clientURLs": [f"https://{address}:2379"]}
            if address in self.learners:
                entry["isLearner"] = True
            listed.append(entry)
        return json.dumps({"header": {}, "members": listed})

    def _health(self, _: Call) -> Result:
        found = [
            {"endpoint": f"https://{address}:2379", "health": address in self.alive, "took": "5ms"}
            for address, name in self.members.items()
            if name
        ]
        return Result(0 if all(entry["health"] for entry in found) else 1, json.dumps(found), "unhealthy")

    def _remove(self, call: Call) -> str:
        number = call.command.split("member remove ")[1].split()[0]
        address = next(a for a in self.members if f"{self.identity(a):x}" == number)
        self.removed.append(address)
        del self.members[address]
        return ""


ALL = {M1: "master-1", M2: "master-2", M3: "master-3"}


def test_members_are_read_with_name_peer_and_the_id_that_etcdctl_takes() -> None:
    fake = FakeEtcd(M1, members={M1: "master-1", M2: ""}, learners=(M2,))
    assert members(fake.ssh, "master-1") == (
        Member(f"{fake.identity(M1):x}", "master-1", f"https://{M1}:2380", learner=False),
        Member(f"{fake.identity(M2):x}", "", f"https://{M2}:2380", learner=True),
    )


def test_health_is_read_though_etcdctl_ends_with_an_error() -> None:
    fake = FakeEtcd(M1, members=ALL)
    assert healthy(fake.ssh, "master-1") == {
        f"https://{M1}:2379": True,
        f"https://{M2}:2379": False,
        f"https://{M3}:2379": False,
    }


def test_no_answer_at_all_is_nobodys_health() -> None:
    ssh = FakeSsh()
    ssh.on("", "endpoint health", Result(1, "", "context deadline exceeded"))
    assert healthy(ssh, "master-1") == {}


def test_c14_an_unstarted_member_of_the_machine_is_removed() -> None:
    fake = FakeEtcd(M1, M2, members={M1: "master-1", M2: "master-2", M3: ""})
    assert remove_stale(fake.ssh, "master-1", M3, "master-3")
    assert fake.removed == [M3]


def test_c14_a_dead_member_of_the_machine_is_removed() -> None:
    fake = FakeEtcd(M1, M2, members=ALL)
    assert remove_stale(fake.ssh, "master-1", M3, "master-3")
    assert fake.removed == [M3]


def test_c14_nothing_is_removed_when_it_would_cost_the_quorum() -> None:
    fake = FakeEtcd(M1, members=ALL)
    with pytest.raises(FailedError) as refused:
        remove_stale(fake.ssh, "master-1", M3, "master-3")
    assert refused.value.message == (
        "etcd: removing master-3 would leave 1 of 2 voters; not healthy: master-2"
    )
    assert refused.value.next_step.startswith("recover master-2 first")
    assert fake.removed == []


def test_nothing_is_removed_when_nobody_is_known_to_be_healthy() -> None:
    fake = FakeEtcd(members=ALL)
    with pytest.raises(FailedError, match="0 of 2 voters; not healthy: master-1, master-2"):
        remove_stale(fake.ssh, "master-1", M3, "master-3")
    assert fake.removed == []


def test_a_sick_voter_that_never_started_is_named_by_its_address() -> None:
    fake = FakeEtcd(M1, members={M1: "master-1", M2: "", M3: "master-3"})
    with pytest.raises(FailedError, match=f"not healthy: https://{M2}:2380"):
        remove_stale(fake.ssh, "master-1", M3, "master-3")
    assert fake.removed == []


def test_a_machine_that_etcd_does_not_know_needs_nothing() -> None:
    fake = FakeEtcd(M1, M2, members={M1: "master-1", M2: "master-2"})
    assert not remove_stale(fake.ssh, "master-1", M3, "master-3")
    assert fake.removed == []
    assert fake.ssh.commands("endpoint health") == []


def test_c14_only_the_member_of_exactly_this_address_is_removed() -> None:
    """10.1.1.1 is the head of 10.1.1.11, and a name may be reused: the address decides."""
    fake = FakeEtcd(M1, M2, members={M1: "master-1", M2: "master-2"})
    for address in ("10.1.1.1", "0.1.1.11", "10.1.1.111"):
        assert not remove_stale(fake.ssh, "master-1", address, "master-1")
    assert fake.removed == []


def test_a_learner_has_no_vote_and_hinders_no_removal() -> None:
    fake = FakeEtcd(M1, members=ALL, learners=(M2,))
    assert remove_stale(fake.ssh, "master-1", M3, "master-3")
    assert fake.removed == [M3]


def test_every_member_of_the_address_is_removed() -> None:
    listed = {
        "members": [
            {"ID": 1, "name": "master-1", "peerURLs": [f"https://{M1}:2380"]},
            {"ID": 10, "name": "master-3", "peerURLs": [f"https://{M3}:2380"]},
            {"ID": 11, "peerURLs": [f"https://{M3}:2380"]},
        ]
    }
    ssh = FakeSsh()
    ssh.on("", "member list", json.dumps(listed))
    ssh.on("", "endpoint health", json.dumps([{"endpoint": f"https://{M1}:2379", "health": True}]))
    ssh.on("", "member remove", "")
    assert remove_stale(ssh, "master-1", M3, "master-3")
    assert [command.split()[3] for _, command in ssh.commands("member remove")] == ["a", "b"]


def test_a_refused_removal_is_an_error_of_that_master() -> None:
    fake = FakeEtcd(M1, M2, members=ALL)
    fake.ssh.on("", "member remove", Result(1, "", "etcdserver: re-configuration failed"))
    with pytest.raises(CommandError, match=r"(?s)master-1: .*re-configuration failed"):
        remove_stale(fake.ssh, "master-1", M3, "master-3")


def test_etcd_is_asked_on_the_master_itself_with_a_client_certificate() -> None:
    fake = FakeEtcd(M1, members={M1: "master-1"})
    members(fake.ssh, "master-1")
    [(host, command)] = fake.ssh.commands()
    assert host == "master-1"
    for piece in (
        "--endpoints=https://127.0.0.1:2379",
        "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
        "-w json",
    ):
        assert piece in command


def test_a_failed_question_shows_what_was_asked() -> None:
    fake = FakeEtcd(members=ALL)
    fake.ssh.on("", "member list", Result(1, "", "context deadline exceeded"))
    with pytest.raises(CommandError, match="etcdctl member list"):
        members(fake.ssh, "master-1")
