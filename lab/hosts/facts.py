"""What a host says about itself: one typed record for each section of the answer of `remote_facts.py`.

A new fact is a key there and a field here, a new section a function there and a record here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from lab.answers import AnswerPart, read
from lab.hosts import programs
from lab.hosts.sections import FactSection, Sections
from lab.ssh import Ssh


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
    """containerd's running configuration, as it tells it over CRI; `config` is the whole of it."""

    systemd_cgroup: bool
    sandbox_image: str
    config: dict[str, Any]


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


class HostSections(Sections):
    """The answer of one host to the facts program, section by section."""

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


def ask(
    ssh: Ssh,
    host: str,
    request: Mapping[str, Any],
    *,
    seconds: float,
    program: str = programs.command(programs.FACTS, programs.ANSWER),
) -> dict[str, Any]:
    """The answer of a program that tells facts, in one round trip and changing nothing.

    Raises `CommandError` when the program fails, `FailedError` when the host cannot be reached or its answer
    is no JSON, `DeadlineError` after `seconds`.
    """
    said = ssh.run(host, program, seconds=seconds, stdin=json.dumps(request))
    return read(host, said)
