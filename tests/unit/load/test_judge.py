"""The verdict on a load run: every way to fail, and to say nothing, by rule."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.commands.loading import _check
from lab.errors import FailedError, InputError
from lab.inventory.sections import LoadProfile
from lab.load.generator import LoadTarget, command, generate, run_seconds, worker_command
from lab.load.judge import LoadOutcome, judge
from lab.load.result import Generator, LoadResult, read

ROOT = Path(__file__).parents[3]
GOOD = LoadResult(
    code=0,
    requests=2000,
    failures=1,
    asked_seconds=59,
    p95_ms=90,
    p99_ms=200,
    generators=(Generator(cpu_percent=40, lag_ms=5),),
)
PROFILE = LoadProfile(failure_percent=1, p95_ms=800, p99_ms=1500)

OWN = {
    "requests": 60,
    "failures": 1,
    "asked_seconds": 59.96,
    "rate": 1.0,
    "p50_ms": 5,
    "p95_ms": 20,
    "p99_ms": 40,
    "max_ms": 90.55,
    "problems": ["1 x https://a/: status 502"],
    "processes": [
        {"cpu_percent": 12.34, "lag_ms": 1.0, "gap_seconds": 0.5, "served": {"front-1": 3}},
        {"cpu_percent": 20.0, "lag_ms": 2.0, "gap_seconds": 0.25, "served": {"front-1": 4, "back-1": 1}},
    ],
}


@pytest.mark.parametrize(
    ("changes", "workers", "outcome", "reason"),
    [
        ({}, 1, LoadOutcome.PASSED, ""),
        ({"failures": 21}, 1, LoadOutcome.FAILED, "failed requests: 1.05 %, limit 1 %"),
        ({"failures": 2000}, 1, LoadOutcome.FAILED, "failed requests: 100 %, limit 1 %"),
        ({"requests": 0, "failures": 0}, 1, LoadOutcome.FAILED, "no request was made"),
        ({"p95_ms": 900}, 1, LoadOutcome.FAILED, "p95: 900 ms, limit 800 ms"),
        ({"p99_ms": 1501}, 1, LoadOutcome.FAILED, "p99: 1501 ms, limit 1500 ms"),
        ({}, 2, LoadOutcome.FAILED, "2 generating processes were wanted, 1 reported"),
        ({"code": -15}, 1, LoadOutcome.FAILED, "Locust was ended by signal 15"),
        ({"code": 2}, 1, LoadOutcome.FAILED, "Locust ended with exit code 2"),
        ({"generators": (Generator(91, 5),)}, 1, LoadOutcome.VOID, "used 91 % of a core, limit 90 %"),
        ({"asked_seconds": 3.5, "p95_ms": 1400}, 1, LoadOutcome.VOID, "users asked for 3.5 s only, of 60 s"),
        ({"generators": (Generator(20, 300),)}, 1, LoadOutcome.VOID, "came 300 ms late"),
        ({"generators": (Generator(91, 5),), "p99_ms": 9000}, 1, LoadOutcome.VOID, "used 91 %"),
    ],
)
def test_c35_a_run_is_judged_by_rule(
    changes: dict[str, object], workers: int, outcome: LoadOutcome, reason: str
) -> None:
    verdict = judge(replace(GOOD, **changes), PROFILE, workers=workers)  # type: ignore[arg-type]
    assert verdict.outcome is outcome
    assert reason in "; ".join(verdict.reasons)


def test_every_limit_that_is_exceeded_is_told() -> None:
    verdict = judge(replace(GOOD, failures=100, p95_ms=900, p99_ms=2000), PROFILE)
    assert len(verdict.reasons) == 3


def test_a_folder_is_read_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps(OWN))
    result = read(tmp_path, 0)
    assert (result.requests, result.failures, result.p95_ms, result.p99_ms) == (60, 1, 20, 40)
    assert result.served == {"back-1": 1, "front-1": 7}
    assert result.gap_seconds == 0.5
    assert [item.cpu_percent for item in result.generators] == [12.3, 20.0]
    assert result.problems == ("1 x https://a/: status 502",)


@pytest.mark.parametrize("written", [False, True])
def test_c35_a_run_without_requests_is_no_success(tmp_path: Path, written: bool) -> None:
    if written:
        (tmp_path / "own.json").write_text(json.dumps(OWN | {"requests": 0, "failures": 0}))
    result = read(tmp_path, 0)
    assert result.failure_percent == 100
    assert judge(result, PROFILE).outcome is LoadOutcome.FAILED


def test_c35_locust_is_bounded_recorded_and_not_the_judge(tmp_path: Path) -> None:
    profile = LoadProfile(users=25, spawn_rate=10, seconds=60)
    words = command(profile, tmp_path, 1)
    given = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}
    assert run_seconds(profile) == 63
    assert (given["--users"], given["--spawn-rate"], given["--run-time"]) == ("25", "10", "63s")
    assert int(given["--stop-timeout"]) > 0
    assert given["--exit-code-on-error"] == "0"
    assert {"--headless", "--reset-stats", "--csv-full-history", "--html", "--json-file"} <= set(words)
    assert "--processes" not in words


def test_several_processes_are_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    words = command(LoadProfile(), tmp_path, 3)
    assert words[words.index("--processes") + 1] == "3"
    assert int(words[words.index("--expect-workers-max-wait") + 1]) > 0
    assert words[words.index("--master-bind-host") + 1] == "127.0.0.1"


def test_workers_of_other_machines_are_awaited_and_not_started(tmp_path: Path) -> None:
    words = command(LoadProfile(), tmp_path, 4, "10.1.1.1")
    given = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}
    assert "--processes" not in words
    assert (given["--master-bind-host"], given["--expect-workers"]) == ("10.1.1.1", "4")
    assert int(given["--expect-workers-max-wait"]) >= 60
    assert "--master-host 10.1.1.1" in worker_command("10.1.1.1")


@pytest.mark.parametrize(
    ("workers", "bind", "said"),
    [(0, "", "--workers 0: must be at least 1"), (2, "here", "--bind here: Expected 4 octets")],
)
def test_what_cannot_be_is_said_before_anything_is_made(workers: int, bind: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _check(workers, bind)


def test_c35_an_earlier_run_is_never_judged_again(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="holds an earlier run"):
        generate(LoadTarget("192.0.2.1", tmp_path, {}), LoadProfile(), tmp_path)


def test_c37_locust_stays_out_of_this_process() -> None:
    """Its import patches sockets and TLS of the whole process (locust#2250)."""
    import sys

    import lab.load.ceiling
    import lab.load.drive

    assert lab.load.ceiling
    assert lab.load.drive
    assert not {"gevent", "locust"} & set(sys.modules)


def test_c37_no_module_of_ours_patches_the_process_that_loads_it() -> None:
    """All of them, and the plugin of the suite; only what Locust itself loads may load Locust."""
    program = (
        "import importlib, pkgutil, ssl, sys, lab, lab.verify.plugin\n"
        "before = ssl.SSLContext\n"
        "for item in pkgutil.walk_packages(lab.__path__, 'lab.'):\n"
        "    if item.name != 'lab.load.locustfile':\n"
        "        importlib.import_module(item.name)\n"
        "assert len(sys.modules) > 100 and ssl.SSLContext is before\n"
        "print(sorted({'gevent', 'locust'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
