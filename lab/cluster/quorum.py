"""What taking a host away does to etcd, judged from its living members before anything is touched.

etcd works while more than half of its voters do, `n // 2 + 1` of n (etcd FAQ, "What is failure tolerance?").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.cluster.etcd import Member


@dataclass(frozen=True)
class Removal:
    """What a removal means: sentences for a person, and the members to remove from etcd beforehand.

    `refusal` says why it would cost the quorum, or may; then no member can be removed in order.
    """

    sentences: tuple[str, ...]
    members: tuple[Member, ...] = ()
    refusal: str = ""


def needed(voters: int) -> int:
    """How many voters of so many must be healthy."""
    return voters // 2 + 1


def removal(members: Sequence[Member], health: Mapping[str, bool], host: str, address: str) -> Removal:
    """The removal of the host at `address` (IPv4, as text) from the members that a living etcd lists.

    `health` is by client URL, as `lab.cluster.etcd.healthy` gives it; a member it leaves out is not healthy.
    """
    theirs = tuple(member for member in members if f"//{address}:" in member.peer)
    voters = sorted((member for member in members if not member.learner), key=_name)
    others = [member for member in voters if member not in theirs]
    healthy = [member for member in voters if health.get(member.client)]
    left = [member for member in healthy if member in others]
    before = f"etcd: {_voters(voters, healthy)}, {needed(len(voters))} needed"
    if len(others) == len(voters):
        what = f"etcd: {host} has no vote" + (", its learner is removed first" if theirs else "")
        return Removal((before, what), theirs)
    if not others:
        return Removal((before,), refusal="it is etcd's only voter: all that the cluster knows goes with it")
    after = f"{_voters(others, left)}, {needed(len(others))} needed"
    if len(healthy) < needed(len(voters)):
        return Removal((before,), refusal=f"etcd has no quorum now: {_voters(voters, healthy)}")
    if len(left) < needed(len(others)):
        return Removal((before,), refusal=f"etcd would lose its quorum; after it: {after}")
    spare = len(left) - needed(len(others))
    more = f"{spare or 'no'} further loss{'es' if spare > 1 else ''}"
    what = f"etcd: its member is removed first; after it: {after}: {more} survived until another joins"
    return Removal((before, what), theirs)


def unseen(host: str, holders: Sequence[str], said: str) -> Removal:
    """The removal of a host while no etcd answers.

    `holders` are the masters that hold data of etcd, or may; `said` is what was last seen instead of an
    answer.
    """
    if host not in holders:
        return Removal((f"etcd: {host} holds no data of it",))
    return Removal(
        (),
        refusal=f"no etcd answers ({said}), so it has no quorum or cannot be seen; its data are, or may "
        f"be, on {', '.join(holders)}",
    )


def _voters(voters: Sequence[Member], healthy: Sequence[Member]) -> str:
    """How many voters there are, who they are, and who of them is not healthy."""
    sick = [_name(member) for member in voters if member not in healthy]
    state = f"not healthy: {', '.join(sick)}" if sick else "all healthy" if len(voters) > 1 else "healthy"
    count = f"{len(voters)} voter{'s' if len(voters) > 1 else ''}"
    return f"{count} ({', '.join(_name(member) for member in voters)}; {state})"


def _name(member: Member) -> str:
    return member.name or f"{member.peer}, never started"
