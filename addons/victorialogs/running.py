"""The store and its shippers as they run: how they were started, taken away, ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from addons.victorialogs.section import SHIPPER_PORT, address, shipper_arguments, store_arguments
from lab.checks.driver import Driver
from lab.checks.metrics import samples
from lab.checks.verbs import becomes
from lab.objects import Object, is_ready

NAMESPACE = "/api/v1/namespaces/monitoring"
STORE = "/apis/apps/v1/namespaces/monitoring/statefulsets/victorialogs"
PODS = "kubectl -n monitoring get pods -o wide"
UPLOADER = "systemd-journal-upload"
CHECKPOINTS = "/var/lib/plumbline/vlagent/vlagent-kubernetes-checkpoints.json"
READY_SECONDS = 120
KILL = f"""
for look in $(seq 70); do
  age=$(( $(date +%s) - $(stat -c %Y {CHECKPOINTS}) ))
  test $age -ge 5 && test $age -le 50 && break
  sleep 1
done
pkill -KILL -x vlagent-prod
"""
"""kill -9 of a node's shipper, but for the seconds after it wrote how far it has read, once a minute: what it
has read right before and not sent yet is lost with it (README.md)."""


def pods(driver: Driver, app: str) -> list[Object]:
    """The pods of the store or of the shippers that are not being deleted."""
    path = f"{NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fname%3D{app}"
    return [pod for pod in driver.cluster.items(path) if "deletionTimestamp" not in pod["metadata"]]


def all_pods(driver: Driver, app: str) -> list[Object]:
    """Those that end as well."""
    return driver.cluster.items(f"{NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fname%3D{app}")


def await_ready(driver: Driver, app: str, number: int) -> None:
    """Wait until so many pods are Ready, and no other is left."""
    becomes(
        f"pods of {app}",
        lambda: all_pods(driver, app),
        lambda found: len(found) == number and all(is_ready(pod) for pod in found),
        within=READY_SECONDS,
        expected=f"{number} Ready",
        command=PODS,
    )


@contextmanager
def store_away(driver: Driver) -> Iterator[None]:
    """The store is ended as an update would do it; while the block runs there is none."""
    try:
        driver.cluster.request("PATCH", STORE, {"spec": {"replicas": 0}})
        becomes(
            "pods of the log store",
            lambda: all_pods(driver, "victorialogs"),
            lambda found: not found,
            within=90,
            expected="none",
            command=PODS,
        )
        yield
    finally:
        driver.cluster.request("PATCH", STORE, {"spec": {"replicas": 1}})
    await_ready(driver, "victorialogs", 1)


def replace_shippers(driver: Driver) -> None:
    """Delete every node's shipper, and wait for the new ones; restart every machine's uploader."""
    for pod in pods(driver, "vlagent"):
        driver.cluster.delete(f"{NAMESPACE}/pods/{pod['metadata']['name']}")
    for host in driver.inventory.hosts:
        driver.read(host, f"systemctl restart {UPLOADER}")
    await_ready(driver, "vlagent", len(driver.inventory.nodes))


def kill_shippers(driver: Driver) -> None:
    """kill -9 of every node's shipper and of every machine's uploader; they are started again."""
    for host in driver.inventory.hosts:
        driver.read(host, f"systemctl kill --signal=KILL {UPLOADER}")
    for host in driver.inventory.nodes:
        driver.read(host, KILL, seconds=120)
    await_ready(driver, "vlagent", len(driver.inventory.nodes))


def started(metrics: str) -> dict[str, str]:
    """The arguments of a program of VictoriaMetrics', as it tells them itself."""
    return {labels["name"]: labels["value"] for labels, _ in samples(metrics, "flag")}


def otherwise(wanted: Sequence[str], found: Mapping[str, str]) -> list[str]:
    """Arguments with which a program was not started as wanted, each with both values."""
    wrong = []
    for argument in wanted:
        name, _, value = argument.lstrip("-").partition("=")
        said = found.get(name, "not told")
        # an argument without a value is a switch
        if said != (value or "true"):
            wrong.append(f"{name}: is {said}, not {value or 'true'}")
    return wrong


def started_otherwise(driver: Driver) -> dict[str, list[str]]:
    """The store and each shipper that runs otherwise than the inventory says, asked on its own machine."""
    inventory = driver.inventory
    asked = [
        ("the log store", pod, address(inventory), store_arguments) for pod in pods(driver, "victorialogs")
    ]
    asked += [
        (
            f"vlagent on {pod['spec']['nodeName']}",
            pod,
            f"{pod['status']['podIP']}:{SHIPPER_PORT}",
            shipper_arguments,
        )
        for pod in pods(driver, "vlagent")
    ]
    found = {}
    for name, pod, where, wanted in asked:
        said = started(driver.page(pod["spec"]["nodeName"], f"http://{where}/metrics"))
        if wrong := otherwise(wanted(inventory), said):
            found[name] = wrong
    return found
