"""Layer load: the ingress under the users of the inventory's profile, judged by rule."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest

from lab.checks import health
from lab.checks.closed_loop import ClosedLoop, closed_loop
from lab.checks.drain import drained
from lab.checks.driver import Driver
from lab.checks.ingress import IngressClient
from lab.checks.items import Measure
from lab.checks.outcomes import CouldNotTell, NotPartOfLab
from lab.checks.sample_apps import APPS, PODS, site
from lab.checks.steadiness import marks, restarts
from lab.checks.verbs import Refused, agrees, holds, nothing
from lab.checks.workspace import Workspace
from lab.inventory.sections import LoadProfile
from lab.load.ceiling import ceilings
from lab.load.drive import new_folder, target_of
from lab.load.generator import command, generate
from lab.load.judge import LoadOutcome, generator_faults, judge
from lab.load.result import LoadResult

BASELINE_SHARE = 1.2
"""What 99 % take may exceed the baseline by a fifth."""
SUCCESS_PERCENT, GAP_SECONDS = 99.0, 10.0
"""Kubernetes' own goal for load balancers while a node is drained, and MetalLB's longest failover."""
RESTARTS = 1
SHORT = {"seconds": 10}
DRAIN_SECONDS = 45


@dataclass(frozen=True)
class Loaded:
    """The profile's run, what else was seen meanwhile, and what was so before and after it."""

    profile: LoadProfile
    result: LoadResult
    marks: tuple[dict[str, str], dict[str, str]]
    restarts: tuple[dict[str, int], dict[str, int]]
    api: dict[str, ClosedLoop]
    pods: tuple[str, ...]


@pytest.fixture(scope="session")
def space(ingress: IngressClient) -> Iterator[Workspace]:
    """The site that is asked."""
    with site(ingress, "load") as made:
        yield made


@pytest.fixture(scope="session")
def loaded(ingress: IngressClient, space: Workspace) -> Loaded:
    """One run of the default profile from one process."""
    driver = ingress.driver
    profile = driver.inventory.load_profiles["default"]
    quiet, begun = marks(driver, ingress.address), restarts(driver)
    with ExitStack() as stack:
        api = {
            host: stack.enter_context(closed_loop(partial(ready, driver, host), clients=1, interval=1.0))
            for host in (*driver.inventory.masters, driver.inventory.balancer)
        }
        result = generate(target_of(ingress), profile, new_folder(driver.folder, "default"))
    pods = tuple(pod["metadata"]["name"] for app in APPS for pod in space.pods(app))
    return Loaded(
        profile, result, (quiet, marks(driver, ingress.address)), (begun, restarts(driver)), api, pods
    )


def ready(driver: Driver, host: str) -> None:
    """One look at an API server. Raises `Refused` when it is not ready."""
    answer = health.ready_answer(driver, host)
    if answer.status != 200:
        raise Refused(f"/readyz of {host}: status {answer.status}")


@pytest.mark.check("L5-01")
def test_the_run_was_bounded_and_is_recorded(loaded: Loaded, driver: Driver) -> None:
    """Locust ran headless for the profile's users and time, and left CSV with history, HTML and JSON."""
    folder = new_folder(driver.folder, "default")
    words = command(loaded.profile, folder, 1)
    for option in ("--headless", "--run-time", "--users", "--spawn-rate", "--stop-timeout", "--reset-stats"):
        holds(f"option {option}", option in words, expected="given", seen=" ".join(words))
    agrees("exit code of Locust", loaded.result.code, 0, command=f"less {folder}/locust.log")
    files = ("locust_stats.csv", "locust_stats_history.csv", "locust.html", "locust.json", "own.json")
    nothing("files that are missing", [n for n in files if not (folder / n).exists()], rule="none")


@pytest.mark.check("L5-02")
@pytest.mark.check("L5-03")
def test_the_limits_of_the_profile_hold(loaded: Loaded, measure: Measure) -> None:
    """Share of failed requests, p95 and p99 are within the profile's limits; the verdict is by rule."""
    result, profile = loaded.result, loaded.profile
    measure("requests", result.requests, "requests")
    measure("requests a second", result.rate, "1/s")
    measure("failed requests", result.failure_percent, "%", profile.failure_percent)
    measure("p50 of requests", result.p50_ms, "ms")
    measure("p95 of requests", result.p95_ms, "ms", profile.p95_ms)
    measure("p99 of requests", result.p99_ms, "ms", profile.p99_ms)
    verdict = judge(result, profile)
    if verdict.outcome is LoadOutcome.VOID:
        raise CouldNotTell("; ".join(verdict.reasons), next_step="invoke load --workers 2")
    nothing(
        "limits that do not hold",
        [*verdict.reasons, *result.problems[:5]] if verdict.reasons else [],
        rule="none",
    )


@pytest.mark.check("L5-04")
def test_the_generator_was_not_the_bottleneck(loaded: Loaded, measure: Measure) -> None:
    """The generator was neither busy nor late: its figures are the ingress'."""
    for one in loaded.result.generators:
        measure("CPU of the generator", one.cpu_percent, "% of a core")
        measure("lateness of the generator, p95", one.lag_ms, "ms")
    if faults := generator_faults(loaded.result, loaded.profile):
        raise CouldNotTell("; ".join(faults), next_step="invoke load --workers 2")


@pytest.mark.check("L5-04")
@pytest.mark.usefixtures("space")
def test_the_ceiling_of_the_generator_is_known(ingress: IngressClient, measure: Measure) -> None:
    """One process at full speed, and wrk on the same URL in the same run, make requests that succeed."""
    for one in ceilings(target_of(ingress), new_folder(ingress.driver.folder, "ceiling")):
        if one.missing:
            raise CouldNotTell(f"{one.tool}: {one.missing}", next_step=one.missing.rpartition(": ")[2])
        measure(f"ceiling of {one.tool}", one.rate, "1/s")
        measure(f"ceiling of {one.tool} for a core of its own", one.rate_per_core, "1/s")
        holds(f"requests of {one.tool}", one.rate > 0, expected="some", seen=one)
        agrees(f"failed requests of {one.tool}", one.failures, 0)


@pytest.mark.check("L5-05")
@pytest.mark.check("L5-06")
@pytest.mark.usefixtures("space")
def test_several_processes_load_together(ingress: IngressClient, measure: Measure) -> None:
    """Two processes share the users; both are waited for, report, and leave the warm-up out."""
    profile = ingress.driver.inventory.load_profiles["default"].model_copy(update=SHORT)
    folder = new_folder(ingress.driver.folder, "distributed")
    words = command(profile, folder, 2)
    holds("time to wait for workers", "--expect-workers-max-wait" in words, expected="bounded", seen=words)
    result = generate(target_of(ingress), profile, folder, workers=2)
    agrees("processes that reported", len(result.generators), 2, command=f"less {folder}/locust.log")
    agrees("exit code of Locust", result.code, 0)
    holds("requests", result.requests > 0, expected="some", seen=result.requests)
    # counted from the moment at which all users ask: fewer than all that were served
    served = sum(result.served.values())
    holds(
        "requests without warm-up",
        result.requests < served + result.failures,
        expected=f"< {served}",
        seen=result,
    )
    measure("requests a second of two processes", result.rate, "1/s")


@pytest.mark.check("L5-07")
def test_the_load_reaches_every_pod(loaded: Loaded, measure: Measure) -> None:
    """Every pod behind the ingress has served requests."""
    agrees("pods of the site", len(loaded.pods), PODS * len(APPS))
    for pod in loaded.pods:
        measure(f"requests served by {pod.partition('-')[0]}", loaded.result.served.get(pod, 0), "requests")
    idle = [pod for pod in loaded.pods if not loaded.result.served.get(pod)]
    nothing("pods that have served nothing", idle, rule="none")


@pytest.mark.check("L5-08")
def test_the_run_is_as_fast_as_on_a_good_day(loaded: Loaded) -> None:
    """99 % of requests take at most a fifth longer than the profile's baseline."""
    baseline = loaded.profile.baseline_p99_ms
    if baseline is None:
        raise NotPartOfLab("load.default.baseline_p99_ms", "the inventory declares no baseline")
    limit = baseline * BASELINE_SHARE
    holds("p99", loaded.result.p99_ms <= limit, expected=f"at most {limit:g} ms", seen=loaded.result.p99_ms)


@pytest.mark.check("L5-12")
def test_the_api_stays_available_under_load(loaded: Loaded, driver: Driver, measure: Measure) -> None:
    """Each API server, asked every second directly and through the balancer, stays ready under load."""
    limit = driver.inventory.thresholds.api_available_percent
    poor = {}
    for host, visits in loaded.api.items():
        measure(f"availability of the API at {host}", visits.success_percent, "%", limit)
        if visits.success_percent < limit:
            poor[host] = f"{visits.success_percent:.2f} %: {'; '.join(visits.problems())}"
    nothing("API servers below the limit", poor, rule=f"{limit:g} % of looks find it ready")


@pytest.mark.check("L5-15")
def test_load_has_no_side_effects(loaded: Loaded) -> None:
    """No container was killed for memory, and none but one restarted."""
    before, after = loaded.restarts
    grown = {name: after[name] - before[name] for name in before}
    holds("restarts", grown["restarts"] <= RESTARTS, expected=f"at most {RESTARTS}", seen=after)
    agrees("kills for memory", grown["kills for memory"], 0)


@pytest.mark.check("L5-15")
def test_nothing_flaps_under_load(loaded: Loaded) -> None:
    """No node turned NotReady, no leader changed, HAProxy kept all servers, the address its owner."""
    before, after = loaded.marks
    changed = {
        name: f"{before.get(name, 'nothing')} -> {after.get(name, 'nothing')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
    nothing("changes under load", changed, rule="none")


@pytest.mark.check("L5-09")
@pytest.mark.usefixtures("space")
def test_a_worker_is_drained_under_load(ingress: IngressClient, measure: Measure) -> None:
    """While users ask, a worker is drained and taken back; 99 % succeed, and no gap exceeds ten seconds."""
    driver = ingress.driver
    if not driver.inventory.disposable:
        raise NotPartOfLab("disposable", "no machine of this lab may be drained")
    if len(driver.inventory.workers) < 2:
        raise NotPartOfLab("hosts", "there is one worker, and nowhere to go")
    profile = driver.inventory.load_profiles["default"].model_copy(update={"seconds": DRAIN_SECONDS})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(generate, target_of(ingress), profile, new_folder(driver.folder, "drain"))
        with drained(driver, driver.inventory.workers[0]):
            holds(
                "load while the worker is drained", not running.done(), expected="still running", seen="ended"
            )
        result = running.result()
    success = 100 - result.failure_percent
    measure("requests that succeeded while a worker was drained", success, "%", SUCCESS_PERCENT)
    measure("longest gap while a worker was drained", result.gap_seconds, "s", GAP_SECONDS)
    holds("requests that succeed", success >= SUCCESS_PERCENT, expected=f"{SUCCESS_PERCENT:g} %", seen=result)
    holds("longest gap", result.gap_seconds <= GAP_SECONDS, expected=f"{GAP_SECONDS:g} s", seen=result)
