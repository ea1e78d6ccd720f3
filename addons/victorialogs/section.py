"""VictoriaLogs' part of a lab: where logs are kept, how long, and how much each part takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from addons.prometheus.section_config import NAMESPACE
from addons.prometheus.section_model import Logs, Observability
from addons.prometheus.section_places import logs_host
from lab.inventory.addon_sections import Section, WebPage
from lab.inventory.models import Inventory
from lab.inventory.providers import rules_of

PORT, SHIPPER_PORT = 9428, 9429
USER = 65534
"""User and group of the store."""
LONGEST_LINE_MIB = 1
"""Of an entry of a journal, which is read line by line; the store takes no entry above 2 MiB at all."""
BUFFER_MIB = 500
"""Of a node's disk for what could not be sent yet; a file of it (512 MiB) goes when all of it was sent."""
RETRY_SECONDS = 10
"""Longest pause between two attempts to reach a store that is away."""
SHIPPER_MIB = 96
"""Most memory of a shipper."""
USED_SHARE = 0.6
"""Of a limit that caches and buffers may have; the rest is for the program itself and its garbage."""


def _logs(inventory: Inventory) -> Logs:
    found = inventory.section(Observability).logs
    if found is None:
        raise LookupError(f"{inventory.lab}: keeps no logs, so it has no such add-on")
    return found


def address(inventory: Inventory) -> str:
    """Where the store listens: on its machine's address in the LAN alone."""
    return f"{inventory.addresses[logs_host(inventory)]}:{PORT}"


def memory_mib(inventory: Inventory) -> int:
    """Most memory of the store: what is written at the same time grows with machines."""
    return 192 + 12 * len(inventory.hosts)


def least_free_gib(inventory: Inventory) -> int:
    """GiB of the disk below which the store takes nothing more, and shippers and journals keep it back.

    Above a tenth of a machine's own disk, where its kubelet would begin to end pods; machines that share this
    machine's disk are told its size.
    """
    name = logs_host(inventory)
    shared = rules_of(inventory.provided_by(name)).shares_kernel
    return 1 if shared else 1 + inventory.hosts[name].disk_gib // 10


def store_arguments(inventory: Inventory) -> tuple[str, ...]:
    """How the store is started."""
    logs = _logs(inventory)
    return (
        "-storageDataPath=/data",
        f"-httpListenAddr={address(inventory)}",
        f"-retentionPeriod={logs.retention_days}d",
        f"-retention.maxDiskSpaceUsageBytes={logs.retention_gib}GiB",
        f"-storage.minFreeDiskSpaceBytes={least_free_gib(inventory)}GiB",
        f"-memory.allowedBytes={int(memory_mib(inventory) * USED_SHARE)}MiB",
        f"-insert.maxLineSizeBytes={LONGEST_LINE_MIB}MiB",
        "-journald.streamFields=_HOSTNAME,_SYSTEMD_UNIT",
        "-loggerFormat=json",
    )


def shipper_arguments(inventory: Inventory) -> tuple[str, ...]:
    """How the shipper of a node is started; what it has read and could not send lies below its data path."""
    return (
        "-kubernetesCollector",
        "-tmpDataPath=/data",
        f"-remoteWrite.url=http://{address(inventory)}/insert/native",
        f"-remoteWrite.maxDiskUsagePerURL={BUFFER_MIB}MiB",
        f"-remoteWrite.retryMaxTime={RETRY_SECONDS}s",
        # one, so that lines of a file arrive in their order; a block is a fraction of the limit
        "-remoteWrite.queues=1",
        "-remoteWrite.maxBlockSize=1MiB",
        # an address of the lab's own, in messages and metrics
        "-remoteWrite.showURL",
        f"-memory.allowedBytes={int(SHIPPER_MIB * USED_SHARE)}MiB",
        f"-httpListenAddr=:{SHIPPER_PORT}",
        "-loggerFormat=json",
    )


def _values(inventory: Inventory, _: Mapping[str, str]) -> dict[str, Any]:
    most = memory_mib(inventory)
    return {
        "host": logs_host(inventory),
        "port": PORT,
        "shipper_port": SHIPPER_PORT,
        "user": USER,
        "store_arguments": list(store_arguments(inventory)),
        "shipper_arguments": list(shipper_arguments(inventory)),
        "memory": {"request": f"{most // 3}Mi", "limit": f"{most}Mi"},
        "shipper_memory": {"request": f"{SHIPPER_MIB // 4}Mi", "limit": f"{SHIPPER_MIB}Mi"},
    }


def _on_machines(inventory: Inventory) -> dict[str, str]:
    return {"store": f"http://{address(inventory)}/insert/journald"}


def _page(inventory: Inventory) -> WebPage:
    url = f"http://{address(inventory)}/select/vmui"
    only = "to machines of the lab alone"
    return WebPage(namespace=NAMESPACE, service="victorialogs", port=PORT, url=url, only=only)


SECTION = Section(
    values=_values,
    on_machines=_on_machines,
    places=lambda inventory: {"logs": logs_host(inventory)},
    pages={"victorialogs": _page},
)
