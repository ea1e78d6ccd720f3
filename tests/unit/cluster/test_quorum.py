"""What the removal of a host does to etcd: each number of voters with each number of healthy ones."""

from __future__ import annotations

import pytest

from lab.cluster.etcd import Member
from lab.cluster.quorum import Removal, needed, removal, unseen


def address(number: int) -> str:
    return f"10.1.1.{10 + number}"


def member(number: int, *, learner: bool = False, started: bool = True) -> Member:
    name = f"master-{number}" if started else ""
    return Member(f"{number:x}", name, f"https://{address(number)}:2380", learner)


def judged(voters: int, sick: tuple[int, ...] = (), *, gone: int = 1, learner: int = 0) -> Removal:
    """The removal of master `gone` from `voters` voters, of whom `sick` are not healthy."""
    members = [member(number) for number in range(1, voters + 1)]
    members += [member(learner, learner=True)] if learner else []
    health = {one.client: number not in sick for number, one in enumerate(members, 1)}
    return removal(members, health, f"master-{gone}", address(gone))


@pytest.mark.parametrize(("voters", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_a_quorum_is_more_than_half(voters: int, quorum: int) -> None:
    assert needed(voters) == quorum


def test_voters_are_named_before_and_after() -> None:
    found = judged(3)
    assert found.refusal == ""
    assert [one.name for one in found.members] == ["master-1"]
    assert found.sentences == (
        "etcd: 3 voters (master-1, master-2, master-3; all healthy), 2 needed",
        "etcd: its member is removed first; after it: 2 voters (master-2, master-3; all healthy), 2 needed: "
        "no further loss survived until another joins",
    )


@pytest.mark.parametrize(
    ("voters", "sick", "may"),
    [
        (3, (1,), "no further loss survived"),  # the dead one itself goes
        (5, (), "1 further loss survived"),
        (5, (2,), "no further loss survived"),
        (7, (), "2 further losses survived"),
        (2, (), "no further loss survived"),
    ],
)
def test_a_removal_that_keeps_the_quorum_is_allowed(voters: int, sick: tuple[int, ...], may: str) -> None:
    found = judged(voters, sick)
    assert found.refusal == ""
    assert may in found.sentences[-1]
    assert [one.id for one in found.members] == ["1"]


@pytest.mark.parametrize(
    ("voters", "sick", "why"),
    [
        (3, (2,), "would lose its quorum; after it: 2 voters (master-2, master-3; not healthy: master-2), 2"),
        (5, (2, 3), "would lose its quorum"),
        (3, (2, 3), "has no quorum now"),
        (3, (1, 2), "has no quorum now"),
        (4, (1, 2), "has no quorum now"),
        (2, (1,), "has no quorum now"),
        (1, (), "only voter"),
    ],
)
def test_a_removal_that_costs_the_quorum_is_refused(voters: int, sick: tuple[int, ...], why: str) -> None:
    found = judged(voters, sick)
    assert why in found.refusal
    assert found.members == (), "no member is removed where the quorum does not allow it"
    assert f"{voters} voter" in found.sentences[0]


def test_a_learner_costs_nothing_and_goes() -> None:
    found = judged(3, (2,), gone=4, learner=4)
    assert found.refusal == ""
    assert [one.learner for one in found.members] == [True]
    assert found.sentences[-1] == "etcd: master-4 has no vote, its learner is removed first"


def test_a_learner_cannot_take_a_voters_place() -> None:
    assert "only voter" in judged(1, learner=2).refusal


def test_a_host_that_etcd_does_not_know_costs_nothing() -> None:
    found = judged(3, gone=9)
    assert (found.members, found.refusal) == ((), "")
    assert found.sentences[-1] == "etcd: master-9 has no vote"


def test_the_address_decides_and_not_its_head() -> None:
    """10.1.1.1 is the head of 10.1.1.11."""
    found = removal([member(1), member(2)], {}, "master-1", "10.1.1.1")
    assert found.members == ()


def test_a_voter_that_never_started_is_told_by_its_url() -> None:
    members = [member(1), member(2), member(3, started=False)]
    found = removal(members, {one.client: True for one in members[:2]}, "master-1", address(1))
    assert "https://10.1.1.13:2380, never started" in found.refusal


def test_where_no_etcd_answers_only_a_host_without_data_may_go() -> None:
    found = unseen("master-1", ["master-1", "master-2"], "context deadline exceeded")
    assert "master-1, master-2" in found.refusal
    assert "context deadline exceeded" in found.refusal
    assert unseen("master-3", ["master-1"], "no master runs").refusal == ""
    assert unseen("master-1", [], "no master runs").refusal == ""


def test_voters_are_told_in_the_order_of_their_names() -> None:
    """etcd lists them by its own random numbers."""
    members = [member(3), member(1), member(2)]
    found = removal(members, {one.client: True for one in members}, "master-1", address(1))
    assert "(master-1, master-2, master-3;" in found.sentences[0]
