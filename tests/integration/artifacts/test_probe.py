"""The probe: `await` holds an add-on back until its node can forward packets, the others ask for checks."""

from __future__ import annotations

import json
import socket
import subprocess
from datetime import datetime, timedelta
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


def test_a_question_without_an_answer_holds_up_no_other(probe: Path) -> None:
    """A minute of questions is a minute, and a deadline, however many of them are lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = "{}:{}".format(*silent.getsockname())
        options = ["--server", server, "--count", "20", "--interval", "10ms", "--timeout", "3s"]
        done = subprocess.run(
            [probe, "dns", "name.test.", *options], capture_output=True, text=True, timeout=SOON, check=False
        )
    told = sorted(map(json.loads, done.stdout.splitlines()), key=lambda one: str(one["attempt"]).zfill(2))
    assert done.returncode == 1
    assert [one["attempt"] for one in told] == list(range(1, 21))
    assert all("timeout" in one["error"] for one in told)
    begun = [datetime.fromisoformat(one["start"][:26].rstrip("Z") + "+00:00") for one in told]
    assert begun[-1] < begun[0] + timedelta(milliseconds=told[0]["ms"])


def test_without_an_interval_questions_follow_each_other(probe: Path) -> None:
    done = subprocess.run(
        [probe, "udp", "127.0.0.1:1", "--count", "3"],
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert [json.loads(line)["attempt"] for line in done.stdout.splitlines()] == [1, 2, 3]
