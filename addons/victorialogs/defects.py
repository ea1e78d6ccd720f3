"""Seeded defects of logs: a machine whose log is missing, a store that never forgets, shippers that do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from shlex import quote
from typing import Any

from addons.prometheus.section_places import logs_host
from addons.victorialogs.section import PORT, address, shipper_arguments, store_arguments
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.selftest.defect import Defect, breakage, edited, filtered

SPACE = "-n monitoring"
UPLOAD = "/etc/systemd/journal-upload.conf.d/10-plumbline.conf"
UNIT = "/etc/systemd/system/systemd-journal-upload.service.d/10-plumbline.conf"
AGAIN = "systemctl daemon-reload && systemctl restart systemd-journal-upload"
SECOND = "plumbline-defect-second-uploader"
SHIPPED = "the way of logs"
"""What nobody has while the store or all shippers are changed."""


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    return [*_of_machines(lab), *_of_pods(lab)]


def _of_machines(lab: Inventory) -> list[Defect]:
    worker = next(name for name in lab.workers if name != logs_host(lab))
    stray, gives_up = (
        edited("logs-astray", UPLOAD, f"s|:{PORT}|:1|"),
        edited("uploader-gives-up", UNIT, "s|^Restart=.*|Restart=no|"),
    )
    return [
        breakage(
            layer="services",
            name="journal-unshipped",
            title="the journal of the balancer is not shipped",
            row="P3-40",
            says=f"lines missing.*journals.*{lab.balancer}",
            at=lab.balancer,
            damage="systemctl stop systemd-journal-upload",
            repair="systemctl start systemd-journal-upload",
            touches=("unit systemd-journal-upload",),
            needs=(SHIPPED,),
            test="test_every_line_of_machines_and_pods_is_found",
        ),
        breakage(
            layer="services",
            name="logs-astray",
            title="a worker's journal is sent to another port",
            row="P3-40",
            says=f"lines missing.*journals.*{worker}",
            at=worker,
            damage=f"{stray['damage']} && systemctl restart systemd-journal-upload",
            repair=f"{stray['repair']} && systemctl restart systemd-journal-upload",
            touches=(*stray["touches"], "unit systemd-journal-upload"),
            needs=(SHIPPED,),
            test="test_every_line_of_machines_and_pods_is_found",
        ),
        breakage(
            layer="services",
            name="journal-shipped-twice",
            title="a second uploader sends a master's journal as well",
            row="P3-40",
            says=f"copies of lines.*{lab.masters[0]}",
            at=lab.masters[0],
            damage=f"systemd-run --quiet --collect --unit={SECOND} /lib/systemd/systemd-journal-upload"
            f" --url=http://{address(lab)}/insert/journald --save-state=/run/{SECOND}",
            repair=f"systemctl stop {SECOND} 2>/dev/null; rm -f /run/{SECOND}",
            touches=(f"unit {SECOND}",),
            needs=(SHIPPED,),
            alone=True,
            test="test_every_line_of_machines_and_pods_is_found",
        ),
        breakage(
            layer="services",
            name="uploader-gives-up",
            title="a worker's uploader is not started again when the store was away",
            row="P3-41",
            says=f"lines with .*missing.*{worker}",
            at=worker,
            damage=f"{gives_up['damage']} && {AGAIN}",
            repair=f"{gives_up['repair']} && {AGAIN}",
            touches=(*gives_up["touches"], "unit systemd-journal-upload"),
            needs=(SHIPPED,),
            test="test_no_line_is_lost_while_the_store_is_away",
        ),
    ]


def _of_pods(lab: Inventory) -> list[Defect]:
    master = lab.masters[1]
    host = logs_host(lab)
    return [
        breakage(
            layer="services",
            name="shipper-cut-off",
            title="the shipper of a master does not reach the store",
            row="P3-40",
            says=f"lines missing.*pods.*{master}",
            at=master,
            needs=(SHIPPED,),
            test="test_every_line_of_machines_and_pods_is_found",
            **filtered(f"tcp dport {PORT} drop", hook="forward", name="logs"),
        ),
        breakage(
            layer="services",
            name="shippers-forget",
            title="shippers keep nowhere how far they have read",
            row="P3-42",
            says="copies of lines",
            alone=True,
            stops=(SHIPPED,),
            reddens=("P2-07",),
            test="test_no_line_is_lost_when_shippers_are_replaced",
            **_patched(
                lab,
                "daemonset/vlagent",
                _volume({"hostPath": None, "emptyDir": {}}),
                _volume(
                    {
                        "emptyDir": None,
                        "hostPath": {"path": "/var/lib/plumbline/vlagent", "type": "DirectoryOrCreate"},
                    }
                ),
            ),
        ),
        breakage(
            layer="services",
            name="long-lines-dropped",
            title="the store takes lines of a journal up to 16 KiB alone",
            row="P3-43",
            says="lines with .*missing.*long",
            alone=True,
            stops=(SHIPPED,),
            reddens=("P2-07", "P3-44"),
            test="test_long_entries_of_a_journal_arrive_whole",
            **_argument(
                lab, "statefulset/victorialogs", store_arguments(lab), "insert.maxLineSizeBytes", "16KiB"
            ),
        ),
        breakage(
            layer="services",
            name="retention-off",
            title="the store keeps logs for its own default time",
            row="P3-44",
            says="the log store.*retentionPeriod: is 100y",
            alone=True,
            stops=(SHIPPED,),
            reddens=("P2-07",),
            **_argument(lab, "statefulset/victorialogs", store_arguments(lab), "retentionPeriod", "100y"),
        ),
        breakage(
            layer="services",
            name="size-unbounded",
            title="the store may fill its machine's disk",
            row="P3-44",
            says="the log store.*retention.maxDiskSpaceUsageBytes: is 0",
            alone=True,
            stops=(SHIPPED,),
            reddens=("P2-07",),
            **_argument(
                lab, "statefulset/victorialogs", store_arguments(lab), "retention.maxDiskSpaceUsageBytes", "0"
            ),
        ),
        breakage(
            layer="services",
            name="buffer-unbounded",
            title="what shippers cannot send may fill every node's disk",
            row="P3-44",
            says=f"vlagent on {host}.*remoteWrite.maxDiskUsagePerURL: is 0",
            alone=True,
            stops=(SHIPPED,),
            reddens=("P2-07",),
            **_argument(
                lab, "daemonset/vlagent", shipper_arguments(lab), "remoteWrite.maxDiskUsagePerURL", "0"
            ),
        ),
    ]


def _volume(fields: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"volumes": [{"name": "data", **fields}]}}}}


def _patched(
    lab: Inventory, workload: str, change: Any, back: Any, kind: str = "strategic"
) -> dict[str, Any]:
    """Damage and repair of a workload by two patches; each waits until pods of that version alone run."""
    rolled = f"{KUBECTL} {SPACE} rollout status {workload} --timeout=180s >/dev/null"
    patch = f"{KUBECTL} {SPACE} patch {workload} --type {kind} -p"
    return {
        "at": lab.masters[0],
        "damage": f"{patch} {quote(json.dumps(change))} >/dev/null && {rolled}",
        "repair": f"{patch} {quote(json.dumps(back))} >/dev/null && {rolled}",
        "touches": (workload,),
    }


def _argument(
    lab: Inventory, workload: str, arguments: Sequence[str], name: str, value: str
) -> dict[str, Any]:
    """Damage and repair of one argument of a workload's program."""
    index = next(place for place, text in enumerate(arguments) if text.startswith(f"-{name}="))
    path = f"/spec/template/spec/containers/0/args/{index}"

    def replaced(text: str) -> list[dict[str, str]]:
        return [{"op": "replace", "path": path, "value": text}]

    return _patched(lab, workload, replaced(f"-{name}={value}"), replaced(arguments[index]), "json")
