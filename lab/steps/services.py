"""The cluster's own services: add-ons applied as soon as an API server answers, then waited for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import yaml

from lab.addons import AddOn
from lab.cluster.api import ApiError, Object, Unavailable, patiently
from lab.cluster.apply import ObjectChange, apply, changed, ensure_secret
from lab.cluster.certificates import certificate_change, ensure_certificate
from lab.cluster.workloads import nodes_ready, workload_ready
from lab.render.components import kubelet_settings
from lab.steps.context import Build
from lab.waits import NotYet, wait_for

READY_SECONDS = 300
KUBELET_CONFIGMAP = "/api/v1/namespaces/kube-system/configmaps/kubelet-config"


def kubelet_changes(build: Build) -> list[ObjectChange]:
    """What the kubelets' settings would change in the cluster; changes nothing."""
    wanted = kubelet_configuration(build)
    change = changed(build.api, wanted) if wanted else None
    return [change] if change else []


def addon_changes(build: Build, addon: AddOn) -> list[ObjectChange]:
    """What applying an add-on would change; changes nothing."""
    found = [changed(build.api, item) for item in build.addon_objects[addon]]
    found += [certificate_change(build.api, item, build.lab.authority) for item in addon.certificates]
    return [change for change in found if change]


def kubelet_configuration(build: Build) -> Object | None:
    """The ConfigMap that nodes take their kubelet's settings from when they join, with ours in it.

    None when ours are in it already, or there is none yet.
    """
    live = patiently("the kubelets' settings", lambda: build.api.get(KUBELET_CONFIGMAP))
    if live is None:
        return None
    held: dict[str, Any] = yaml.safe_load(live["data"]["kubelet"])
    merged = held | kubelet_settings(
        build.lab.inventory, build.lab.provider.traits_of(build.lab.inventory.masters[0])
    )
    if merged == held:
        return None
    name = {"name": "kubelet-config", "namespace": "kube-system"}
    data = {"kubelet": yaml.safe_dump(merged, sort_keys=True)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data}


def apply_kubelet_configuration(build: Build) -> tuple[bool, str]:
    """Bring that ConfigMap up to date; kubelets that run have a file of their own, which hosts converge."""
    wanted = kubelet_configuration(build)
    return wanted is not None and apply(build.api, wanted, build.noting("addon-kubelet")), ""


def apply_addon(build: Build, addon: AddOn) -> tuple[bool, str]:
    """Apply an add-on's objects; whether something was changed, and how many objects."""
    items = build.addon_objects[addon]
    note = build.noting(f"addon-{addon.name}")
    count = 0
    namespaces = [item for item in items if item["kind"] == "Namespace"]
    count += sum(apply(build.api, item, note) for item in namespaces)
    for secret in addon.secrets:
        count += patiently(f"secret {secret.name}", partial(ensure_secret, build.api, secret))
    for item in addon.certificates:
        make = partial(ensure_certificate, build.api, item, build.lab.authority)
        count += patiently(f"certificate {item.name}", make)
    count += sum(apply(build.api, item, note) for item in items if item not in namespaces)
    return count > 0, f"{count} objects" if count else ""


def nodes(build: Build) -> tuple[bool, str]:
    """Wait until every node of the inventory is Ready, but for those of which a step has failed."""
    failed = {key.partition(":")[2] for key in build.engine.lost}
    wanted = [name for name in build.lab.inventory.nodes if name not in failed]
    _wait(build, "all nodes Ready", "nodes", lambda: nodes_ready(build.api, wanted))
    return False, f"{len(wanted)} nodes"


def addon_ready(build: Build, addon: AddOn) -> tuple[bool, str]:
    """Wait until the workloads of an add-on run their newest version everywhere, and its jobs are done."""
    for reference in addon.ready:
        _wait(
            build,
            f"{addon.name}: {reference}",
            f"ready-{addon.name}",
            partial(workload_ready, build.api, reference),
        )
    return False, ""


def _wait(build: Build, subject: str, key: str, look: Callable[[], None]) -> None:
    note = build.noting(key)

    def probe() -> None:
        try:
            look()
        except (ApiError, Unavailable) as error:
            note(error.message)
            raise NotYet(error.message) from error
        except NotYet as state:
            note(str(state))
            raise

    wait_for(subject, probe, seconds=READY_SECONDS, interval=0.5, next_step="invoke status; invoke logs")
