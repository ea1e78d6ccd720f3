"""Labs, hosts and menus of fakes, and what they were asked to do."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.commands import asking, menu, operating
from lab.commands.session import Session
from lab.console import Console
from lab.errors import FailedError
from lab.hosts.converge import ETCD_DATA
from lab.labs import Lab
from lab.runs import Run
from lab.ssh import Keys
from tests.unit.core.frame import Frame
from tests.unit.core.here import SYSTEMCTL, HereSsh
from tests.unit.core.site import PROD, Site
from tests.world import World


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What systemctl and sysctl were asked to do."""
    return tmp_path / "commands"


@pytest.fixture
def pending(tmp_path: Path) -> Path:
    return tmp_path / "var" / "pending.json"


@pytest.fixture
def ssh(tmp_path: Path, log: Path, pending: Path) -> HereSsh:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"systemctl": SYSTEMCTL, "sysctl": '#!/bin/sh\necho "sysctl $*" >> "$LOG"\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    log.touch()
    return HereSsh(
        {"PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(log), "PLUMBLINE_PENDING": str(pending)}
    )


@pytest.fixture
def frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Frame]:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    world = World(tmp_path)
    world.ssh.on("", "", FailedError("no route to host"))
    lab = Lab(world.inventory, tmp_path, world.provider, ssh=world.ssh)
    made = Frame(world, lab)

    @contextmanager
    def opened(name: str, *_: object, **__: object) -> Iterator[Session]:
        run = Run(tmp_path, "test", name)
        try:
            with Console() as console:
                yield Session(world.inventory, lab, console, run, chosen={"inventory": "mine"})
        except BaseException:
            logging.getLogger("plumbline").exception("the command ended by an error")
            raise
        finally:
            run.close()

    # what a host knew in another test of this process, less than half a minute ago
    monkeypatch.setattr("lab.checks.evidence._kept", {})
    monkeypatch.setattr(operating, "session", opened)
    monkeypatch.setattr(operating, "find", lambda _: made.operation)
    monkeypatch.setattr("lab.commands.operating._heal_left_behind", lambda *_: made.story.append("heal"))
    yield made


@pytest.fixture
def folder(frame: Frame) -> Path:
    """The folder of the newest run."""
    return frame.world.folder / ".lab/test/runs/last"


@pytest.fixture
def own_signals_and_options() -> Iterator[None]:
    """What a command sets for its process is put back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """What tasks hand on, instead of doing it."""
    calls: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(menu, "run", lambda target, /, **given: calls.append((target, given)))
    return calls


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    return Keys("test")


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control sockets in a folder of the test."""
    folder = tmp_path / "sockets"
    monkeypatch.setattr("lab.ssh.control_folder", lambda _: folder)
    return folder


@pytest.fixture(params=[PROD], ids=["kept"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path / "cache"))
    made = Site(tmp_path, request.param)
    made.build()

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[Session]:
        run = Run(tmp_path, "test", "destroy")
        try:
            with Console() as console:
                yield Session(made.world.inventory, made.lab(), console, run)
        finally:
            run.close()

    monkeypatch.setattr(operating, "session", opened)
    monkeypatch.setattr("builtins.input", made.input)
    monkeypatch.setattr(asking, "somebody_there", lambda: made.terminal)
    made.world.ssh.on("", f"test -d {ETCD_DATA}", "")
    made.world.ssh.on("", "cat /etc/kubernetes/admin.conf", "a kubeconfig")
    yield made
