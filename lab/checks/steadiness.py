"""What a quiet platform leaves as it is: marks that differ after something flapped, even for a moment."""

from __future__ import annotations

from lab.checks import health
from lab.checks.balancer import servers
from lab.checks.driver import Driver
from lab.checks.metrics import value
from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import address_owners


def marks(driver: Driver, address: str) -> dict[str, str]:
    """Since when each node is what it is, who leads, how often servers were taken out, who owns `address`.

    Two looks agree only if nothing changed between them and back. Raises `CouldNotTell`.
    """
    return {
        **{
            f"node {name}": f"Ready is {status} since {since}"
            for name, (status, since) in health.ready_since(driver).items()
        },
        **{f"lease {name}": _lease(driver, name) for name in ("kube-controller-manager", "kube-scheduler")},
        **{f"etcd's leader at {host}": _leader_changes(driver, host) for host in driver.inventory.masters},
        **{f"{name} in HAProxy": f"out {row['chkdown']} times" for name, row in servers(driver).items()},
        f"owner of {address}": ", ".join(sorted(address_owners(driver.lan_interface, address))),
    }


def restarts(driver: Driver) -> dict[str, int]:
    """How often the platform's containers began anew, and how many were killed for memory before."""
    found = {"restarts": 0, "kills for memory": 0}
    for name in health.system_namespaces(driver.inventory):
        for pod in driver.cluster.items(f"/api/v1/namespaces/{name}/pods"):
            for state in pod["status"].get("containerStatuses", []):
                last = state.get("lastState", {}).get("terminated", {})
                found["restarts"] += state["restartCount"]
                found["kills for memory"] += last.get("reason") == "OOMKilled"
    return found


def _lease(driver: Driver, name: str) -> str:
    spec = health.lease(driver, name)
    return f"{spec.get('holderIdentity')}, {spec.get('leaseTransitions')} transitions"


def _leader_changes(driver: Driver, host: str) -> str:
    seen = value(health.etcd_metrics(driver, host), "etcd_server_leader_changes_seen_total")
    if seen is None:
        raise CouldNotTell(f"{host}: etcd's metrics do not tell how often the leader changed")
    return f"changed {seen:g} times"
