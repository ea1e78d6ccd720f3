"""A namespace of a check's own: everything made in the cluster lies in it, and is gone afterwards.

What a crashed run left behind is removed by the next one, which knows it by its label.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from lab.checks.driver import Driver
from lab.checks.objects import address_of
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import becomes
from lab.objects import Object, is_ready

LABEL = "plumbline.local/verify"


@dataclass(frozen=True)
class Workspace:
    """One namespace and what is made in it."""

    driver: Driver
    name: str

    @property
    def core(self) -> str:
        """Path of the namespace in the core API."""
        return f"/api/v1/namespaces/{self.name}"

    @property
    def apps(self) -> str:
        """Path of the namespace in the apps API."""
        return f"/apis/apps/v1/namespaces/{self.name}"

    @property
    def probe_image(self) -> str:
        """The echo server and client that is preloaded on every node."""
        return self.driver.pins.images["probe"]

    @property
    def policy(self) -> str:
        """Path of the namespace in the policy API."""
        return f"/apis/policy/v1/namespaces/{self.name}"

    @property
    def networking(self) -> str:
        """Path of the namespace in the networking API."""
        return f"/apis/networking.k8s.io/v1/namespaces/{self.name}"

    def create(self, collection: str, item: Object) -> Object:
        """Create an object in a collection such as `services`, `daemonsets` or `configmaps`."""
        roots = {"deployments": self.apps, "daemonsets": self.apps, "poddisruptionbudgets": self.policy}
        roots |= {"ingresses": self.networking}
        root = roots.get(collection, self.core)
        return self.driver.cluster.create(f"{root}/{collection}", item)

    def pods(self, app: str) -> list[Object]:
        """Pods of an app that are not being deleted, by node and name."""
        found = self.driver.cluster.items(f"{self.core}/pods?labelSelector=app%3D{app}")
        living = [item for item in found if "deletionTimestamp" not in item["metadata"]]
        return sorted(living, key=lambda pod: (pod["spec"].get("nodeName", ""), pod["metadata"]["name"]))

    def by_node(self, app: str) -> dict[str, Object]:
        """Pods of an app that runs once on a node, by that node."""
        return {pod["spec"]["nodeName"]: pod for pod in self.pods(app)}

    def await_pods(self, app: str, number: int, *, within: float = 90) -> list[Object]:
        """Wait until so many pods of an app are Ready, and give them back."""
        return becomes(
            f"pods of {app} in {self.name}",
            lambda: self.pods(app),
            lambda pods: len(pods) == number and all(is_ready(pod) for pod in pods),
            within=within,
            expected=f"{number} Ready",
            command=f"kubectl -n {self.name} get pods -o wide",
        )

    def await_address(self, service: str) -> str:
        """Wait for the address of a service of type LoadBalancer."""
        return becomes(
            f"address of service {service}",
            lambda: address_of(self.driver.cluster.get(f"{self.core}/services/{service}")),
            bool,
            within=self.driver.inventory.thresholds.address_seconds,
            expected="one of a pool",
            command=f"kubectl -n {self.name} describe service {service}",
        )


@contextmanager
def workspace(driver: Driver, purpose: str, *, removals: ExitStack | None = None) -> Iterator[Workspace]:
    """A fresh namespace; it and all in it are removed at the end: waited for here, or by `removals`."""
    cluster = driver.cluster
    run = driver.folder.name.lower().replace(".", "-")
    _sweep(driver, run)
    name = f"plumbline-{purpose}"
    path = f"/api/v1/namespaces/{name}"
    _await_gone(driver, path)
    cluster.create(
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: run}}},
    )
    try:
        yield Workspace(driver, name)
    finally:
        cluster.delete(path)
    if removals is None:
        _await_gone(driver, path)
    else:
        removals.callback(_await_gone, driver, path)


def _sweep(driver: Driver, run: str) -> None:
    """Begin the removal of other runs' namespaces. The lab's lock is held, so none of them is in use."""
    for item in driver.cluster.items(f"/api/v1/namespaces?labelSelector={LABEL.replace('/', '%2F')}"):
        meta = item["metadata"]
        if meta["labels"][LABEL] != run and "deletionTimestamp" not in meta:
            driver.cluster.delete(f"/api/v1/namespaces/{meta['name']}")


def _await_gone(driver: Driver, path: str) -> None:
    def look() -> str:
        item = driver.cluster.get(path)
        if item is None:
            return "gone"
        conditions = item.get("status", {}).get("conditions", [])
        held = [entry["message"] for entry in conditions if entry["status"] == "True"]
        return "; ".join(held) or item["status"].get("phase", "there")

    state = becomes(
        f"namespace {path.rpartition('/')[2]}",
        look,
        lambda state: state == "gone" or state == "Active",
        within=90,
        expected="gone",
        command="kubectl get namespaces",
    )
    if state == "Active":
        raise CouldNotTell(
            f"{path.rpartition('/')[2]}: a namespace of that name is in use",
            next_step="kubectl get namespaces",
        )
