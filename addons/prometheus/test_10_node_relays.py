"""Layer node: metrics of machines are reached from nodes, and from nowhere else."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from addons.prometheus.relays import beyond, silent
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outside import knock
from lab.checks.verbs import becomes, nothing

SILENT = "no answer in time"


@pytest.mark.check("P1-33")
@pytest.mark.each("all")
def test_nodes_reach_the_metrics_of_a_machine(driver: Driver, host: str) -> None:
    """Another node is answered by etcd, scheduler, controller manager, kube-proxy and HAProxy."""
    asker = next(name for name in (*driver.inventory.workers, *driver.inventory.masters) if name != host)
    becomes(
        f"answers of metrics to {asker}",
        lambda: silent(driver, host, asker),
        lambda found: not found,
        within=20,
        expected="metrics, or that a token is missing",
        command="systemctl status 'metrics-relay@*'; ss -lnt",
        host=host,
    )


@pytest.mark.check("P1-34")
@pytest.mark.each("nodes")
def test_what_kubeadm_keeps_on_loopback_stays_there(driver: Driver, facts: Facts, host: str) -> None:
    """The programs themselves listen on loopback; on the machine's address there is the relay alone."""
    wrong = beyond(driver.inventory, host, facts.sockets)
    nothing(
        "metrics beyond loopback",
        wrong,
        rule="the relays on the machine's address",
        command="ss -lntp",
        host=host,
    )


@pytest.fixture(scope="session")
def of_metrics(driver: Driver) -> dict[str, Future[dict[int, str]]]:
    """What comes of connecting from outside to the ports that are for nodes alone, by address."""
    wanted = {
        driver.inventory.addresses[name]: [
            port.port
            for port in bundle.listen
            if port.protocol == "tcp" and port.sources and not {"operators", "masters"} & {*port.sources}
        ]
        for name, bundle in driver.bundles.items()
    }
    return knock(wanted, seconds=0.5)


@pytest.mark.check("P1-35")
@pytest.mark.each("all")
def test_nobody_else_reaches_the_metrics_of_a_machine(
    driver: Driver, of_metrics: dict[str, Future[dict[int, str]]], host: str
) -> None:
    """Seen from the LAN, where no node is: the ports of metrics stay silent."""
    address = driver.inventory.addresses[host]
    said = of_metrics[address].result()
    heard = {port: answer for port, answer in said.items() if SILENT not in answer}
    nothing(
        f"ports of {address} that are not silent",
        heard,
        rule="none",
        command=f"nc -vz {address} PORT",
        host=host,
    )
