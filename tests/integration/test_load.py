"""Load with the real Locust, against a TLS server on loopback: what it records, and when it gives up."""

from __future__ import annotations

import json
import shlex
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.authority import Authority
from lab.errors import FailedError
from lab.inventory.sections import LoadProfile
from lab.load.ceiling import FULL_SPEED, ceilings
from lab.load.generator import LoadTarget, generate, worker_command
from lab.load.judge import LoadOutcome, judge
from tests.soon import SOON

DOMAIN = "load.internal"
PROFILE = LoadProfile(users=4, spawn_rate=8, seconds=5, pause_seconds=0.1, p95_ms=60_000, p99_ms=60_000)


class Echo(BaseHTTPRequestHandler):
    """Two apps by path; one path fails."""

    protocol_version = "HTTP/1.1"
    seen: set[str]

    def do_GET(self) -> None:
        """Say who answers, as the echo servers in a lab do."""
        self.seen.add(f"{self.headers['Host']}{self.path}")
        app = "back" if self.path.startswith("/api") else "front"
        body = json.dumps({"pod": f"{app}-1"}).encode()
        self.send_response(502 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[LoadTarget]:
    authority = Authority(tmp_path / "ca", DOMAIN)
    leaf = authority.issue()
    (tmp_path / "leaf.pem").write_text(leaf.key + leaf.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem")
    Echo.seen = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    routes = {f"https://shop.{DOMAIN}:{port}/": "front", f"https://blog.{DOMAIN}:{port}/api": "back"}
    yield LoadTarget("127.0.0.1", authority.certificate_file, routes)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_is_recorded_and_passes(target: LoadTarget, tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "run"
    result = generate(target, PROFILE, folder, workers=workers)
    assert judge(result, PROFILE, workers=workers).outcome is not LoadOutcome.FAILED, (
        result.said,
        result.problems,
    )
    assert result.requests >= len(target.routes)
    assert result.failures == 0
    assert len(result.generators) == workers
    assert set(result.served) == {"front-1", "back-1"}
    assert {f"https://{seen}" for seen in Echo.seen} == set(target.routes)
    for name in ("locust_stats.csv", "locust_stats_history.csv", "locust.html", "locust.json", "locust.log"):
        assert (folder / name).stat().st_size > 0, name


def test_workers_on_other_machines_need_locust_and_the_master_s_address_alone(
    target: LoadTarget, tmp_path: Path
) -> None:
    """Two processes that share no file and no variable with the master stand for two machines."""
    argv = [sys.executable, "-m", *shlex.split(worker_command("127.0.0.1"))]
    argv[argv.index("-1")] = "1"
    workers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        workers.append(
            subprocess.Popen(
                argv, cwd=tmp_path / name, env={"TMPDIR": str(tmp_path / name)}, stderr=subprocess.PIPE
            )
        )
    result = generate(target, PROFILE, tmp_path / "run", workers=2, bind="127.0.0.1")
    said = [worker.communicate(timeout=SOON)[1].decode() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert judge(result, PROFILE, workers=2).outcome is not LoadOutcome.FAILED, (result.said, result.problems)
    assert len(result.generators) == 2
    assert set(result.served) == {"front-1", "back-1"}


@pytest.mark.parametrize("installed", [True, False])
def test_the_ceiling_is_told_beside_that_of_wrk_on_the_same_path(
    target: LoadTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    if not installed:
        monkeypatch.setattr("lab.load.ceiling.shutil.which", lambda _: None)
    elif not shutil.which("wrk"):
        pytest.skip("wrk is not installed on this machine")
    monkeypatch.setattr("lab.load.ceiling.SECONDS", 2)
    monkeypatch.setattr("lab.load.ceiling.FULL_SPEED", FULL_SPEED.model_copy(update={"seconds": 2}))
    locust, wrk = ceilings(target, tmp_path / "ceiling")
    assert (locust.tool, wrk.tool) == ("locust", "wrk")
    assert locust.failures == 0
    assert locust.rate_per_core >= locust.rate > 0
    if installed:
        assert (wrk.failures, wrk.missing) == (0, "")
        assert wrk.rate_per_core >= wrk.rate > 0
        assert Echo.seen == {next(iter(target.routes)).removeprefix("https://")}
    else:
        assert wrk.missing == "not installed on this machine: apt-get install wrk"


def test_failures_are_counted_by_kind(target: LoadTarget, tmp_path: Path) -> None:
    shop, blog = target.routes
    routes = {**target.routes, f"{shop}broken": "front", blog.removesuffix("api"): "back"}
    result = generate(LoadTarget("127.0.0.1", target.ca, routes), PROFILE, tmp_path / "run")
    assert 30 < result.failure_percent < 70
    assert any("status 502" in problem for problem in result.problems)
    assert any("another app answered: front-1" in problem for problem in result.problems)
    assert judge(result, PROFILE).outcome is not LoadOutcome.PASSED


def test_a_stranger_s_certificate_is_not_taken(target: LoadTarget, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", DOMAIN)
    other.issue()
    wrong = LoadTarget("127.0.0.1", other.certificate_file, target.routes)
    result = generate(wrong, PROFILE, tmp_path / "run")
    assert result.failure_percent == 100
    assert any("CERTIFICATE_VERIFY_FAILED" in problem for problem in result.problems)


def test_a_folder_of_an_earlier_run_is_refused(target: LoadTarget, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(FailedError, match="holds an earlier run"):
        generate(target, PROFILE, tmp_path / "run")


def test_a_master_gives_up_when_its_workers_do_not_come(
    target: LoadTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that die at once: the run ends with an error instead of waiting for ever."""
    broken = tmp_path / "locustfile.py"
    broken.write_text(
        "import os, sys\nfrom locust import User, events, task\n"
        "@events.init.add_listener\ndef begin(environment, **_):\n"
        "    if environment.parsed_options.worker: os._exit(3)\n"
        "class Nobody(User):\n    @task\n    def nothing(self): pass\n"
    )
    monkeypatch.setattr("lab.load.generator.LOCUSTFILE", broken)
    monkeypatch.setattr("lab.load.generator.WORKERS_SECONDS", 3)
    result = generate(target, PROFILE, tmp_path / "run", workers=2)
    verdict = judge(result, PROFILE, workers=2)
    assert verdict.outcome is LoadOutcome.FAILED
    assert "2 generating processes were wanted, 0 reported" in verdict.reasons[0]
