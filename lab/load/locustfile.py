"""Users of the ingress. Run by Locust in a process of its own, never imported: that changes sockets and TLS.

What `generator.py` wants is in the module that Locust has loaded, or was sent by its master, before this one.
What Locust itself does not record (who served, how busy this process was, the longest time without an answer)
goes from all processes to the master, and into the file `own` there.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import gevent.ssl
from geventhttpclient.client import HTTPClientPool
from locust import FastHttpUser, constant_pacing, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

SPEC: dict[str, Any] = import_module("plumbline_target").SPEC
SECONDS = 10.0
"""Time for an answer."""
TICK = 0.1

turns = itertools.cycle(SPEC["routes"])
served: Counter[str] = Counter()
workers: dict[str, dict[str, Any]] = {}
"""What each worker has reported, by its id; only the master has any."""


class Watch:
    """How busy this process is, and how late it comes to what it wants to do."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.begun, self.cpu = time.monotonic(), time.process_time()
        self.answered, self.gap = time.monotonic(), 0.0

    def run(self) -> None:
        """Sleep and see how much later it is than it should be."""
        while True:
            begun = time.monotonic()
            gevent.sleep(TICK)
            self.lags.append(time.monotonic() - begun - TICK)

    def answer(self) -> None:
        """Note that a request has succeeded."""
        now = time.monotonic()
        self.gap, self.answered = max(self.gap, now - self.answered), now

    def report(self) -> dict[str, Any]:
        """CPU in per cent of a core, 95th percentile of the lag in ms, longest gap in s, requests by pod."""
        wall = time.monotonic() - self.begun
        lags = sorted(self.lags) or [0.0]
        return {
            "cpu_percent": 100 * (time.process_time() - self.cpu) / wall,
            "lag_ms": 1000 * lags[int(0.95 * (len(lags) - 1))],
            "gap_seconds": self.gap,
            "served": dict(served),
        }


watch = Watch()
"""Begun anew with every test: a worker waits for its master before it."""


def trusting(**_: Any) -> gevent.ssl.SSLContext:
    """A client that trusts the lab's CA alone, not the public ones that geventhttpclient names."""
    return gevent.ssl.create_default_context(cadata=SPEC["ca"])


_resolve = gevent.socket.getaddrinfo


def resolved(_name: str, *rest: Any) -> Any:
    """The ingress' address for every name: its names lead nowhere, and nothing else is asked."""
    return _resolve(SPEC["address"], *rest)


gevent.socket.getaddrinfo = resolved


class Visitor(FastHttpUser):
    """Asks one route after the other over connections that it keeps, as a browser does."""

    host = SPEC["routes"][0]["url"]
    wait_time = constant_pacing(SPEC["pause_seconds"])

    def __init__(self, environment: Environment) -> None:
        self.client_pool = HTTPClientPool(
            ssl_context_factory=trusting,
            connection_timeout=SECONDS,
            network_timeout=SECONDS,
            concurrency=1,
        )
        super().__init__(environment)

    @task
    def visit(self) -> None:
        """One request; another app's answer is as wrong as none."""
        route = next(turns)
        with self.client.get(route["url"], catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}: {answer.error or (answer.text or '')[:80]}")
                return
            pod = str(answer.json().get("pod", ""))
            if not pod.startswith(f"{route['app']}-"):
                answer.failure(f"another app answered: {pod}")
                return
            served[pod] += 1
            watch.answer()


def ready(**_: Any) -> None:
    """Let the loop look at the clock: else the run ends as much too early as this program took to load."""
    gevent.get_hub().loop.update_now()


def begin(**_: Any) -> None:
    """Watch from the moment at which users begin."""
    global watch
    watch = Watch()
    gevent.spawn(watch.run)


def tell(data: dict[str, Any], **_: Any) -> None:
    """A worker's share of the report."""
    data["plumbline"] = watch.report()


def hear(client_id: str, data: dict[str, Any], **_: Any) -> None:
    """The newest report of a worker."""
    workers[client_id] = data["plumbline"]


def write(environment: Environment, **_: Any) -> None:
    """Every process' report and the totals: Locust's CSV files lack the last seconds of a run."""
    if isinstance(environment.runner, WorkerRunner):
        return
    distributed = isinstance(environment.runner, MasterRunner)
    total = environment.stats.total
    asked = (total.last_request_timestamp or total.start_time) - total.start_time
    found = {
        "processes": list(workers.values()) if distributed else [watch.report()],
        "requests": total.num_requests,
        "failures": total.num_failures,
        "asked_seconds": asked,
        "rate": total.num_requests / asked if asked else 0.0,
        "p50_ms": total.get_response_time_percentile(0.5),
        "p95_ms": total.get_response_time_percentile(0.95),
        "p99_ms": total.get_response_time_percentile(0.99),
        "max_ms": total.max_response_time,
        "problems": [
            f"{one.occurrences} x {one.name}: {one.error}" for one in environment.stats.errors.values()
        ],
    }
    Path(SPEC["own"]).write_text(json.dumps(found, indent=1))


for hook, listener in (
    (events.init, ready),
    (events.test_start, begin),
    (events.report_to_master, tell),
    (events.worker_report, hear),
    (events.quitting, write),
):
    hook.add_listener(listener)  # type: ignore[no-untyped-call]
