"""What etcdctl answers with `-w json`, as typed records (etcd 3.5, `etcdctl/ctlv3/command/printer_json.go`).

etcd leaves out what is zero, false or empty, and adds keys: what is not named here is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class EtcdAnswer(BaseModel):
    """A part of an answer; numbers of 64 bits are numbers here."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class ListedMember(EtcdAnswer):
    """A member of the list; its name is empty before its first start."""

    id: int = Field(alias="ID")
    name: str = ""
    peers: Sequence[str] = Field(alias="peerURLs")
    learner: bool = Field(False, alias="isLearner")


class MemberList(EtcdAnswer):
    """`member list`, read from the quorum."""

    members: Sequence[ListedMember] = ()


class Header(EtcdAnswer):
    """Who answered, and the revision it had then."""

    member_id: int = 0
    revision: int = 0


class MemberStatus(EtcdAnswer):
    """What a member says of itself; `leader` is 0 while it knows none."""

    header: Header
    leader: int = 0
    term: int = Field(0, alias="raftTerm")


class EndpointStatus(EtcdAnswer):
    """One line of `endpoint status`."""

    endpoint: str = Field(alias="Endpoint")
    status: MemberStatus = Field(alias="Status")


class RaisedAlarm(EtcdAnswer):
    """One alarm: 1 is NOSPACE, 2 is CORRUPT (etcd's rpc.proto)."""

    member: int = Field(0, alias="memberID")
    alarm: int = 0


class AlarmList(EtcdAnswer):
    """`alarm list`."""

    alarms: Sequence[RaisedAlarm] = ()


class KeyValueHash(EtcdAnswer):
    """Hash of all keys and values at one revision, and up to which revision they are compacted."""

    hash: int
    compacted: int = Field(0, alias="compact_revision")


class EndpointHash(EtcdAnswer):
    """One line of `endpoint hashkv`."""

    endpoint: str = Field(alias="Endpoint")
    found: KeyValueHash = Field(alias="HashKV")


class EndpointHealth(EtcdAnswer):
    """One line of `endpoint health`."""

    endpoint: str
    health: bool


MEMBERS = TypeAdapter(MemberList)
STATUSES = TypeAdapter(Sequence[EndpointStatus])
ALARMS = TypeAdapter(AlarmList)
HASHES = TypeAdapter(Sequence[EndpointHash])
HEALTH = TypeAdapter(Sequence[EndpointHealth])
