"""`probe await`: what holds an add-on back until its node can forward packets."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from lab.artifacts import compile as compiler
from lab.artifacts.store import Store
from lab.artifacts.toolchain import host_arch
from lab.catalogue.model import PLATFORM
from tests.soon import SOON


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as it lies in the image."""
    work = tmp_path_factory.mktemp("probe")
    return compiler.build(Store(), "probe", PLATFORM / "probe", host_arch(), work, say=lambda _line: None)[
        "probe"
    ]


def test_it_ends_as_soon_as_all_is_there(probe: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        target = "{}:{}".format(*server.getsockname())
        with subprocess.Popen(
            [probe, "await", "--link=lo", "--limit=10m", target], stderr=subprocess.PIPE, text=True
        ) as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline() == f"probe: waiting for {target}\n"
            assert waiting.poll() is None
            server.listen()
            assert waiting.wait(SOON) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--link=none0", "--limit=1ms"], 1, "probe: waiting for link none0\nprobe: gave up after 1ms\n"),
        (["--limit=1ms", "127.0.0.1:1"], 1, "probe: waiting for 127.0.0.1:1\nprobe: gave up after 1ms\n"),
        (["--limit=soon", "127.0.0.1:1"], 2, 'invalid value "soon"'),
        ([], 2, "usage:"),
    ],
)
def test_it_gives_up_with_what_is_missing(probe: Path, arguments: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [probe, "await", *arguments], capture_output=True, text=True, timeout=SOON, check=False
    )
    assert done.returncode == code
    assert done.stderr.startswith(said)
