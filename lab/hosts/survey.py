"""What lies and runs on a host beside what was declared: a record for each section of `remote_survey.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from lab.answers import AnswerPart
from lab.hosts.sections import FactSection, Sections


class Place(AnswerPart):
    """What lies at a path: `file`, `folder`, `socket`, `link` or `special`; mode as `0644`, `root:root`."""

    kind: str
    mode: str
    owner: str


class FolderFile(AnswerPart):
    """A file of a folder that somebody reads whole.

    `leads` is where a link goes, `package` the Debian package that brought it ("" for none), `changed` says
    that it is no longer as that brought it; `text` is empty for what is too large to be configuration.
    """

    path: str
    leads: str
    package: str
    changed: bool
    text: str


class SurveyedUnit(AnswerPart):
    """A unit of systemd, in its words; `file` and its `package`, and drop-ins that no package brought."""

    name: str
    active: str
    enabled: str
    file: str
    package: str
    transient: bool
    drop_ins: Sequence[str]


class MountLine(AnswerPart):
    """A line of fstab(5); `there` tells whether its device is, also of one that needs none."""

    source: str
    target: str
    kind: str
    options: Sequence[str]
    there: bool


class BootState(AnswerPart):
    """What the next boot starts from, and the command line of the kubelet that runs (empty: none does)."""

    target: str
    kubelet: Sequence[str]
    mounts: Sequence[MountLine]


class PublicKey(AnswerPart):
    """A line of a file of authorized keys, as it stands there."""

    file: str
    line: str


class Account(AnswerPart):
    """An account; its password is `empty`, `set` or `locked`; groups beside its first one."""

    name: str
    number: int
    shell: str
    password: str
    groups: Sequence[str]
    keys: Sequence[PublicKey]


class SecretFile(AnswerPart):
    """A file with a secret (`key` or `token`), whose server it names, and whether every account reads it."""

    path: str
    kind: str
    server: str
    open: bool


class BoundSocket(AnswerPart):
    """A listening TCP or bound UDP socket; `process` is "" for one of the kernel's, `pod` tells a pod's."""

    protocol: str
    address: str
    port: int
    process: str
    unit: str
    pod: bool


class SurveyedLink(AnswerPart):
    """A network interface; `kind` is the kernel's word, "" for a card; addresses with prefix length."""

    name: str
    kind: str
    mac: str
    up: bool
    addresses: Sequence[str]


class Route(AnswerPart):
    """An IPv4 route of a table that is not the kernel's own."""

    to: str
    kind: str
    via: str
    device: str
    metric: int
    table: str


class RoutingRule(AnswerPart):
    """A rule that chooses a table of routes."""

    priority: int
    table: str


class NetworkState(AnswerPart):
    """Links, routes and rules of routing."""

    links: Sequence[SurveyedLink]
    routes: Sequence[Route]
    rules: Sequence[RoutingRule]


class Mounted(AnswerPart):
    """A mounted filesystem."""

    target: str
    kind: str
    source: str


class TimeZone(AnswerPart):
    """The zone's name as the link says it, and the rule of its file, `UTC0` for UTC (tzfile(5))."""

    name: str
    rule: str


class JournalState(AnswerPart):
    """Bytes of the journal's files on the disk and in memory, and the files that journald has open."""

    disk: int
    memory: int
    opened: Sequence[str]


class HostSurvey(Sections):
    """The answer of one host to the survey program, section by section."""

    states = FactSection(TypeAdapter(Mapping[str, Place]))
    entries = FactSection(TypeAdapter(Sequence[FolderFile]))
    units = FactSection(TypeAdapter(Sequence[SurveyedUnit]))
    boot = FactSection(TypeAdapter(BootState))
    sshd = FactSection(TypeAdapter(Mapping[str, Mapping[str, Sequence[str]]]))
    accounts = FactSection(TypeAdapter(Sequence[Account]))
    sudo = FactSection(TypeAdapter(Sequence[dict[str, Any]]))
    secrets = FactSection(TypeAdapter(Sequence[SecretFile]))
    sockets = FactSection(TypeAdapter(Sequence[BoundSocket]))
    network = FactSection(TypeAdapter(NetworkState))
    mounts = FactSection(TypeAdapter(Sequence[Mounted]))
    time_zone = FactSection(TypeAdapter(TimeZone))
    journal = FactSection(TypeAdapter(JournalState))
