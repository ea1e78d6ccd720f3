"""A thread that is moved into another network namespace comes back, and takes nobody along."""

from __future__ import annotations

import ctypes
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import FailedError
from lab.local import enter_network, own_network

NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of linux/sched.h."""


def here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


@pytest.fixture
def other() -> Iterator[Path]:
    """A network namespace that lives as long as a process in it."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo in; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"in\n"
        yield Path(f"/proc/{holder.pid}/ns/net")
        assert holder.stdin is not None
        holder.stdin.close()


def test_the_thread_is_back_after_the_block_and_its_children_were_inside(other: Path) -> None:
    before, inside = here(), other.stat().st_ino
    child: list[int] = []
    with own_network():
        enter_network(other)
        assert here() == inside
        thread = threading.Thread(target=lambda: child.append(here()))
        thread.start()
        thread.join()
        shown = subprocess.run(["stat", "-Lc", "%i", "/proc/self/ns/net"], capture_output=True, check=True)
        assert int(shown.stdout) == inside
    assert (here(), child) == (before, [inside])


def test_an_error_in_the_block_brings_it_back_as_well(other: Path) -> None:
    before = here()
    with pytest.raises(RuntimeError, match="in the middle"), own_network():
        enter_network(other)
        raise RuntimeError("in the middle")
    assert here() == before


def test_blocks_within_each_other_come_back_one_by_one(other: Path) -> None:
    before = here()
    with own_network():
        enter_network(other)
        with own_network():
            assert ctypes.CDLL(None).unshare(NEW_NETWORK) == 0
            assert here() not in (before, other.stat().st_ino)
        assert here() == other.stat().st_ino
    assert here() == before


def test_what_is_no_network_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(FailedError, match=f"{file}: cannot be entered: Invalid argument"), own_network():
        enter_network(file)
