"""What making things for another architecture takes is told before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts import choice
from lab.artifacts.choice import check_cross, source_of
from lab.artifacts.store import Store
from lab.artifacts.wanted import wanted
from lab.catalogue.load import load_catalogue
from lab.errors import PreflightError
from tests.world import inventory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of the other kind with nothing installed: a folder for programs, and what its kernel runs."""
    for name in ("bin", "binfmt"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(choice, "BINFMT", tmp_path / "binfmt")
    monkeypatch.setattr("lab.artifacts.compile.host_arch", lambda: "amd64")
    return tmp_path


def check(store: Store, source: str) -> None:
    selection = load_catalogue().select(wanted(inventory()))
    check_cross(store, selection, source_of(source, store, selection, "arm64", print), "arm64")


@pytest.mark.usefixtures("machine")
def test_everything_that_is_missing_is_told_at_once(store: Store) -> None:
    with pytest.raises(PreflightError, match=r"Debian layer under kube-proxy.*pause") as refused:
        check(store, "modules")
    packages = "qemu-user-static binfmt-support gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
    assert refused.value.next_step == f"apt-get install {packages}, or use --source upstream"


def test_only_what_is_missing_is_asked_for(machine: Path, store: Store) -> None:
    (machine / "binfmt" / "qemu-aarch64").touch()
    with pytest.raises(PreflightError, match="aarch64-linux-gnu-gcc") as refused:
        check(store, "modules")
    assert "qemu" not in refused.value.next_step
    compiler = machine / "bin" / "aarch64-linux-gnu-gcc"
    compiler.touch(mode=0o755)
    check(store, "modules")


@pytest.mark.usefixtures("machine")
def test_official_files_need_nothing(store: Store) -> None:
    check(store, "upstream")
