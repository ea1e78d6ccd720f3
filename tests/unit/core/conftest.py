"""What several modules here share: a host that is this machine, and what it was asked to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.core.here import SYSTEMCTL, HereSsh


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
