"""Lines that checks write: into the journal of every machine, and by a pod on every node."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from lab.checks.driver import Driver
from lab.checks.workspace import Workspace, workspace
from lab.objects import Object

IDENTIFIER = "plumbline-check"
APP = "lines"
PROGRAM = """
import array, fcntl, json, os, socket, struct, sys, time

def entry(text):
    fields = {"MESSAGE": text, "PRIORITY": "6", "SYSLOG_IDENTIFIER": asked["identifier"]}
    made = b""
    for name, value in fields.items():
        value = value.encode()
        made += name.encode() + b"\\n" + struct.pack("<Q", len(value)) + value + b"\\n"
    return made

def write(data):
    if len(data) <= 32768:
        wire.send(data)
        return
    # journald takes what no datagram holds as a file in memory that nobody can change any more
    held = os.memfd_create("entry", os.MFD_ALLOW_SEALING)
    os.write(held, data)
    fcntl.fcntl(held, 1033, 15)
    wire.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [held]))])
    os.close(held)

asked = json.load(sys.stdin)
wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
wire.connect("/run/systemd/journal/socket")
for text in asked["texts"]:
    write(entry(text))
    time.sleep(asked["pause"])
"""
"""journald's own protocol (systemd's "Native Journal Protocol"): syslog's cuts long texts and line ends."""


def token() -> str:
    """A word that stands in no other entry."""
    return f"plumb{secrets.token_hex(8)}"


def numbered(word: str, source: str, count: int) -> list[str]:
    """The texts of a source: `WORD SOURCE NUMBER`, from 1."""
    return [f"{word} {source} {number}" for number in range(1, count + 1)]


def filling(size: int) -> str:
    """What the probe puts behind a line (`probe lines --pad`): a space, and each block's position in hex."""
    made = " "
    while len(made) < size:
        made += f"{len(made):016x}"
    return made[:size]


def to_journal(driver: Driver, host: str, texts: Sequence[str], *, pause: float = 0) -> None:
    """Write texts into a machine's journal, one after the other. Raises `CouldNotTell` when that fails."""
    request = {"texts": list(texts), "pause": pause, "identifier": IDENTIFIER}
    seconds = 30 + 2 * pause * len(texts)
    driver.read(host, f"python3 -c {shlex.quote(PROGRAM)}", stdin=json.dumps(request), seconds=seconds)


@contextmanager
def journals(driver: Driver, written: dict[str, Sequence[str]], *, pause: float) -> Iterator[None]:
    """All machines write at the same time while the block runs; at its end all have written."""
    with ThreadPoolExecutor(max(1, len(written))) as pool:
        writers: list[Future[None]] = [
            pool.submit(to_journal, driver, host, texts, pause=pause) for host, texts in written.items()
        ]
        yield
        for one in writers:
            one.result()


@contextmanager
def pods(
    driver: Driver, word: str, *, count: int, pause: float, pad: int = 0, pieces: int = 1
) -> Iterator[Workspace]:
    """A pod on every node prints `WORD NODE NUMBER`; they stay, with their files, while the block runs."""
    with workspace(driver, "logs") as space:
        space.create("daemonsets", printing(space.probe_image, word, count, pause, pad, pieces))
        yield space


def printing(image: str, word: str, count: int, pause: float, pad: int, pieces: int) -> Object:
    """The DaemonSet of `pods`."""
    name = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    arguments = [f"--count={count}", f"--interval={pause}s", f"--pad={pad}", f"--pieces={pieces}"]
    container = {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/probe", "lines", f"{word} $(NODE_NAME)", *arguments],
        "env": [name],
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
    }
    spec = {
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    template = {"metadata": {"labels": {"app": APP}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": APP},
        "spec": {"selector": {"matchLabels": {"app": APP}}, "template": template},
    }
