"""The HAProxy that runs: its own words for what is declared are accepted, every other one is named."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lab.checks.balancer import STAT
from lab.checks.balancer_running import bounds, declared, runs_as_declared
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell, Mismatch
from tests.fakes import FakeSsh
from tests.world import inventory

COLUMNS = ("pxname", "svname", "status", "check_rise", "check_fall", "addr", "mode", "algo", "uweight")
"""Of the 100 that HAProxy 2.6 prints."""
FRONTEND = ("kube-apiserver", "FRONTEND", "OPEN", "", "", "", "tcp", "", "")


def proxies(**changes: Mapping[str, str]) -> str:
    """`show stat` of HAProxy 2.6 with our configuration; a keyword changes columns of a server."""
    lab = inventory()
    rows = [FRONTEND]
    for backend, checked in (("kube-apiservers", True), ("kube-apiservers-unready", False)):
        for name in lab.masters:
            row = dict(
                zip(
                    COLUMNS,
                    (backend, name, "UP" if checked else "no check", "1", "2", "", "tcp", "", "1"),
                    strict=True,
                )
            )
            row["addr"] = f"{lab.hosts[name].address}:{lab.kubernetes.api_port}"
            if not checked:
                row |= {"check_rise": "", "check_fall": ""}
            else:
                row |= changes.get(name.replace("-", "_"), {})
            rows.append(tuple(row.values()))  # type: ignore[arg-type]
        rows.append((backend, "BACKEND", "UP", "", "", "", "tcp", "roundrobin", "3"))
    return "\n".join([f"# {','.join(COLUMNS)},", *(f"{','.join(row)}," for row in rows)]) + "\n"


def judge(driver: Driver, ssh: FakeSsh, stat: str, left: str = "3h59m") -> None:
    ssh.on("haproxy", STAT, stat)
    ssh.on("haproxy", "show sess", f"{left}\n")
    runs_as_declared(driver, "haproxy")


def test_the_declared_balancer_is_accepted(driver: Driver, ssh: FakeSsh) -> None:
    judge(driver, ssh, proxies())
    judge(driver, ssh, proxies(), "4h")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"check_fall": "9"}, "rise 1, fall 9, declared: .*rise 1, fall 2"),
        ({"uweight": "0"}, "weight 0, rise"),
        ({"addr": "10.1.1.99:6443"}, "10.1.1.99:6443, weight 1"),
        ({"check_rise": "", "check_fall": "", "status": "no check"}, "weight 1, not checked, declared"),
        ({"svname": "master-9"}, "server kube-apiservers/master-9: .*, declared: nothing"),
    ],
)
def test_a_server_that_runs_otherwise_is_named(
    driver: Driver, ssh: FakeSsh, change: dict[str, str], told: str
) -> None:
    with pytest.raises(Mismatch, match=told):
        judge(driver, ssh, proxies(master_2=change))


def test_a_backend_that_is_not_there_is_named(driver: Driver, ssh: FakeSsh) -> None:
    lines = proxies().splitlines(keepends=True)
    with pytest.raises(Mismatch, match=r"backend kube-apiservers: not there, declared: tcp, roundrobin"):
        judge(driver, ssh, "".join(line for line in lines if not line.startswith("kube-apiservers,BACK")))


def test_a_balancer_that_cuts_watches_is_named(driver: Driver, ssh: FakeSsh) -> None:
    with pytest.raises(Mismatch, match=r"timeout tunnel\): expected 14400 s; seen: 9m59s are left of it"):
        judge(driver, ssh, proxies(), "9m59s")


@pytest.mark.parametrize("left", ["", "soon"])
def test_no_connection_is_could_not_tell(driver: Driver, ssh: FakeSsh, left: str) -> None:
    with pytest.raises(CouldNotTell, match=r"leads a connection to no server|is no time"):
        judge(driver, ssh, proxies(), left)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("3h59m", 14400), ("4h", 14400), ("59m59s", 3600), ("1d", 86400), ("30s", 30), ("23h59m", 86400)],
)
def test_what_is_left_tells_the_whole(told: str, seconds: int) -> None:
    low, high = bounds(told)
    assert low <= seconds <= high < 1.1 * seconds + 60


def test_every_server_is_declared_twice() -> None:
    names = [name for name in declared(inventory()) if name.endswith("/master-1")]
    assert names == ["server kube-apiservers/master-1", "server kube-apiservers-unready/master-1"]
