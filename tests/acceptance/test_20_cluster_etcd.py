"""Layer cluster: how fast etcd is, and the disks under it."""

from __future__ import annotations

import shlex

import pytest

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.metrics import quantile, value
from lab.checks.outcomes import CouldNotTell, NotPartOfLab
from lab.checks.verbs import holds, stays

FSYNC_SECONDS, COMMIT_SECONDS = 0.010, 0.025
"""etcd's own advice for the 99th percentiles of WAL syncs and backend commits (tuning page)."""
QUOTA_SHARE = 0.8
SYNCS = """
import os, time
path = '/var/lib/etcd/plumbline-sync'
took = []
file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
try:
    for number in range(150):
        os.write(file, b'x' * 2300)
        begun = time.perf_counter()
        os.fdatasync(file)
        took.append(time.perf_counter() - begun)
finally:
    os.close(file)
    os.unlink(path)
took.sort()
print(took[int(len(took) * 0.99)], len(took) / sum(took))
"""
"""150 writes of etcd's usual size, each synced, beside etcd's data: 99th percentile and syncs a second."""


def python(driver: Driver, host: str, program: str) -> str:
    """What a Python program prints on a host."""
    return driver.read(host, f"python3 -c {shlex.quote(program)}")


def own_disk(driver: Driver, host: str) -> None:
    """Machines that are containers share one disk with everything else on their host."""
    if driver.lab.provider.traits_of(host).shares_kernel:
        raise NotPartOfLab(
            "provider", "the machines are containers on one disk, whose speed is measured only"
        )


@pytest.mark.check("L1-23")
@pytest.mark.each("masters")
def test_the_disk_of_etcd_is_fast_enough(driver: Driver, measure: Measure, host: str) -> None:
    """99 of 100 small synced writes beside etcd's data take less than 10 ms; 50 a second are possible."""
    p99, rate = (float(text) for text in python(driver, host, SYNCS).split())
    measure("99th percentile of a synced write", 1000 * p99, "ms", 1000 * FSYNC_SECONDS)
    measure("synced writes a second", rate, "1/s")
    own_disk(driver, host)
    holds(
        "synced write",
        p99 < FSYNC_SECONDS,
        expected="p99 below 10 ms",
        seen=f"{1000 * p99:.1f} ms",
        host=host,
    )
    holds("synced writes", rate >= 50, expected="at least 50 a second", seen=f"{rate:.0f}", host=host)


@pytest.mark.check("L2-06")
@pytest.mark.each("masters")
def test_etcd_has_room(driver: Driver, measure: Measure, host: str) -> None:
    """etcd's database fills less than 80 % of its quota."""
    text = health.etcd_metrics(driver, host)
    size, quota = (
        value(text, "etcd_mvcc_db_total_size_in_bytes"),
        value(text, "etcd_server_quota_backend_bytes"),
    )
    if not size or not quota:
        raise CouldNotTell(f"{host}: etcd tells neither size nor quota of its database")
    share = measure("share of etcd's quota", 100 * size / quota, "%", 100 * QUOTA_SHARE)
    limit = f"below {QUOTA_SHARE:.0%} of {quota / 2**20:.0f} MiB"
    holds("database", share < 100 * QUOTA_SHARE, expected=limit, seen=f"{share:.1f} %", host=host)


@pytest.mark.check("L2-06")
@pytest.mark.each("masters")
def test_etcd_is_fast_enough(driver: Driver, measure: Measure, host: str) -> None:
    """etcd's own 99th percentiles: WAL syncs below 10 ms, backend commits below 25 ms."""
    text = health.etcd_metrics(driver, host)
    limits = {
        "etcd_disk_wal_fsync_duration_seconds": ("WAL sync", FSYNC_SECONDS),
        "etcd_disk_backend_commit_duration_seconds": ("backend commit", COMMIT_SECONDS),
    }
    seen = {name: quantile(text, name, 0.99) for name in limits}
    if None in seen.values():
        raise CouldNotTell(f"{host}: etcd has no histogram of its syncs yet")
    for name, (title, limit) in limits.items():
        measure(f"99th percentile of a {title}", 1000 * (seen[name] or 0), "ms", 1000 * limit)
    own_disk(driver, host)
    for name, (title, limit) in limits.items():
        took = seen[name] or 0
        rule = f"p99 below {1000 * limit:g} ms"
        holds(title, took < limit, expected=rule, seen=f"{1000 * took:.1f} ms", host=host)


@pytest.mark.check("L2-06")
def test_etcd_keeps_its_leader(driver: Driver) -> None:
    """Nothing changes etcd's leader for five seconds of a quiet lab."""
    names = health.etcd_names(driver)
    leader = health.etcd_leader(driver, names)
    stays(
        "etcd's leader",
        lambda: health.etcd_leader(driver, names),
        lambda name: name == leader,
        seconds=5,
        expected=leader,
        command=health.ETCD,
    )
