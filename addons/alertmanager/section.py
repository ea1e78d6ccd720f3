"""What Alertmanager's objects need to know of the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from addons.alertmanager.section_config import configuration
from addons.prometheus.section_config import text
from addons.prometheus.section_model import Observability
from addons.prometheus.section_pages import page_in_cluster
from addons.prometheus.section_problems import RECEIVERS
from lab.inventory.addon_sections import Section
from lab.inventory.models import Inventory
from lab.inventory.outside import OutsideSecret

MEMBERS = 2
PORT = 9093


def _values(inventory: Inventory, _: Mapping[str, str]) -> dict[str, Any]:
    written = text(configuration(inventory))
    return {
        "configuration": written,
        "checksum": sha256(written.encode()).hexdigest()[:16],
        "members": [f"alertmanager-{number}.alertmanager" for number in range(MEMBERS)],
        "affinity": _apart() if len(inventory.workers) >= MEMBERS else {},
    }


def _apart() -> dict[str, Any]:
    """Of two on one machine its loss would leave none; a lab with a single worker has no choice."""
    own = {"matchLabels": {"app.kubernetes.io/name": "alertmanager"}}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": own}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _outside(inventory: Inventory) -> tuple[OutsideSecret, ...]:
    """One file of the pods for each receiver that has a secret."""
    files = {
        item.name: (item.secret_file, (*RECEIVERS, index, "secret_file"))
        for index, item in enumerate(inventory.section(Observability).alertmanager.receivers)
        if item.secret_file
    }
    return (OutsideSecret("monitoring", "alertmanager-receivers", files),) if files else ()


SECTION = Section(
    values=_values,
    outside=_outside,
    pages={"alertmanager": lambda _: page_in_cluster("alertmanager", PORT)},
)
