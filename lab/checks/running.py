"""What runs beside what is written: the facts that plan and build decide by, asked of one host by a check."""

from __future__ import annotations

from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.pod_resolvers import old_pods
from lab.checks.verbs import nothing
from lab.cluster import nodes
from lab.errors import DeadlineError, FailedError
from lab.hosts import static_pods, units
from lab.hosts.converge import HostFacts, look
from lab.objects import Object

NODES = "/api/v1/nodes"


def running(driver: Driver, host: str) -> HostFacts:
    """The host right now. Raises `CouldNotTell` for one that does not answer."""
    try:
        return look(driver.lab.ssh, driver.bundles[host])
    except (FailedError, DeadlineError) as error:
        raise CouldNotTell(error.message.splitlines()[0], next_step=f"invoke ssh {host}") from error


def units_have_read_their_files(driver: Driver, host: str) -> None:
    """Each unit was started, or has read its files again, after their last change."""
    seen = running(driver, host)
    old = [change.sentence for change in units.outdated(driver.bundles[host], seen.units, seen.written)]
    command = "systemctl show -P StateChangeTimestamp UNIT; ls -l --time-style=full-iso FILE"
    nothing("units that run with an older file", old, rule="none; invoke build", command=command, host=host)


def components_have_read_their_certificates(driver: Driver, host: str) -> None:
    """Each component of the control plane was started after the last change of what it reads at its start."""
    old = [item.sentence for item in static_pods.outdated(running(driver, host).static_pods)]
    command = "ls -l --time-style=full-iso /etc/kubernetes; ps -eo lstart,args"
    nothing("components with older files", old, rule="none; invoke build", command=command, host=host)


def network_is_of_the_nodes_part(driver: Driver, host: str) -> None:
    """Bridge, overlay and routes of a node are those of its part of the pods' network, and the others'."""
    interfaces = driver.bundles[host].pod_interfaces
    items: dict[str, Object] = {item["metadata"]["name"]: item for item in driver.cluster.items(NODES)}
    seen = running(driver, host)
    if len(interfaces) < 2 or host not in items:
        return
    overlay = nodes.overlay_trouble(interfaces[-1], host, items, seen.links, seen.routes)
    found = [nodes.bridge_trouble(interfaces[0], items[host], seen.links), overlay.why if overlay else ""]
    command = "ip -br address; ip route"
    nothing("of another part", [why for why in found if why], rule="none", command=command, host=host)


def pods_have_the_nodes_resolver(driver: Driver, host: str) -> None:
    """Pods with the node's DNS have what the node's file says now."""
    copies = {host: running(driver, host).resolvers}
    old = [str(pod) for pod in old_pods(driver.inventory, driver.bundles, copies, driver.cluster.get)]
    command = "grep -r nameserver /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/*/resolv.conf"
    nothing("pods with an older resolver", old, rule="none; invoke build", command=command, host=host)
