"""What a host says about itself: one typed record for each section of the answer of `remote_facts.py`.

A new fact is a key there and a field here, a new section a function there and a record here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, overload

from pydantic import TypeAdapter

from lab.answers import AnswerPart, fit, read
from lab.errors import FailedError, PlumblineError
from lab.hosts import programs
from lab.ssh import Ssh

T = TypeVar("T")


class System(AnswerPart):
    """What the machine is.

    `os` as `debian-12`; `container` is "" for a full machine; `status` is the text of /proc/self/status;
    `product_uuid` is "" where the firmware has none; `swap` are the lines of /proc/swaps; `cgroup` is the
    type of the filesystem at /sys/fs/cgroup; `clock` in seconds since 1970.
    """

    machine: str
    os: str
    container: str
    status: str
    kernel: str
    hostname: str
    machine_id: str
    product_uuid: str
    page_size: int
    cpus: int
    memory_kib: int
    command_line: str
    swap: Sequence[str]
    cgroup: str
    controllers: Sequence[str]
    clock: float


class FileState(AnswerPart):
    """A file: digest ("" for what is no regular file), mode as `0644`, owner as `root:root`."""

    sha256: str
    mode: str
    owner: str


class UnitState(AnswerPart):
    """A systemd unit, in systemd's words; seconds since it became active, 0 when it is not."""

    active: str
    sub: str
    enabled: str
    restarts: int
    active_seconds: float


class Listener(AnswerPart):
    """A listening TCP or bound UDP socket; `process` is "" for one of the kernel's."""

    protocol: str
    address: str
    port: int
    process: str


class Link(AnswerPart):
    """A network interface; addresses with their prefix length."""

    name: str
    mtu: int
    mac: str
    master: str
    flags: Sequence[str]
    addresses: Sequence[str]


class RuntimeState(AnswerPart):
    """containerd's running configuration, as it tells it over CRI."""

    systemd_cgroup: bool
    sandbox_image: str


class Filesystem(AnswerPart):
    """Use of a filesystem in bytes."""

    total: int
    used: int
    free: int


class Disks(AnswerPart):
    """Filesystems by path, and the size of etcd's database, 0 without one."""

    filesystems: Mapping[str, Filesystem]
    etcd_bytes: int


class ClockState(AnswerPart):
    """Time synchronisation as chrony tells it."""

    offset_seconds: float
    leap: str


class FactSection(Generic[T]):
    """A section of a host's answer, read when it is asked for: an error in one hides none of the others."""

    def __init__(self, shape: TypeAdapter[T]) -> None:
        self._shape = shape

    def __set_name__(self, owner: type[HostSections], name: str) -> None:
        self._name = name
        owner.names = (*owner.names, name)

    @overload
    def __get__(self, answer: None, owner: type[HostSections]) -> FactSection[T]: ...
    @overload
    def __get__(self, answer: HostSections, owner: type[HostSections]) -> T: ...
    def __get__(self, answer: HostSections | None, owner: type[HostSections]) -> FactSection[T] | T:
        if answer is None:
            return self
        return answer.section(self._name, self._shape)


class HostSections:
    """The answer of one host, section by section.

    Reading one raises `unread` when the host could not tell it, when it was not asked for, or when it does
    not fit its record.
    """

    names: ClassVar[tuple[str, ...]] = ()
    unread: ClassVar[type[PlumblineError]] = FailedError

    system = FactSection(TypeAdapter(System))
    files = FactSection(TypeAdapter(Mapping[str, FileState | None]))
    sysctls = FactSection(TypeAdapter(Mapping[str, str | None]))
    modules = FactSection(TypeAdapter(Mapping[str, bool]))
    units = FactSection(TypeAdapter(Mapping[str, UnitState]))
    sockets = FactSection(TypeAdapter(Sequence[Listener]))
    links = FactSection(TypeAdapter(Sequence[Link]))
    default_link = FactSection(TypeAdapter(Sequence[str]))
    versions = FactSection(TypeAdapter(Mapping[str, str]))
    packages = FactSection(TypeAdapter(Mapping[str, str]))
    texts = FactSection(TypeAdapter(Mapping[str, str | None]))
    runtime = FactSection(TypeAdapter(RuntimeState))
    certificates = FactSection(TypeAdapter(Mapping[str, str]))
    manifests = FactSection(TypeAdapter(Mapping[str, str]))
    disks = FactSection(TypeAdapter(Disks))
    clock = FactSection(TypeAdapter(ClockState))

    def __init__(self, host: str, answer: Mapping[str, Any]) -> None:
        self.host, self._answer = host, answer
        self._read: dict[str, Any] = {}

    def section(self, name: str, shape: TypeAdapter[T]) -> T:
        """One section as its record; see the class for what it raises."""
        if name not in self._read:
            self._read[name] = self._fitting(name, shape)
        found: T = self._read[name]
        return found

    def _fitting(self, name: str, shape: TypeAdapter[T]) -> T:
        if name not in self._answer:
            raise self.unread(f"{self.host}: {name}: was not asked for")
        value = self._answer[name]
        if isinstance(value, dict) and set(value) == {"error"}:
            raise self.unread(f"{self.host}: {name}: {value['error']}", next_step=f"invoke ssh {self.host}")
        try:
            return fit(self.host, name, shape, value)
        except FailedError as error:
            raise self.unread(error.message, next_step=error.next_step) from error


def ask(ssh: Ssh, host: str, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
    """The answer of the facts program, in one round trip and changing nothing.

    Raises `CommandError` when the program fails, `FailedError` when the host cannot be reached or its answer
    is no JSON, `DeadlineError` after `seconds`.
    """
    said = ssh.run(host, programs.command(programs.FACTS), seconds=seconds, stdin=json.dumps(request))
    return read(host, said)
