"""Add-ons: upstream's manifest, our partial objects merged into it, and objects of our own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from lab.errors import FailedError
from lab.inventory.models import Inventory
from lab.own_yaml import LOADER
from lab.render.bundle import pins
from lab.render.roles import Addon, addons
from lab.render.templates import render

Object = dict[str, Any]

CRD = "CustomResourceDefinition"
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def objects(inventory: Inventory, addon: Addon, manifests: Mapping[str, Path]) -> list[Object]:
    """All objects of an add-on in the order in which they can be applied.

    Webhooks come last: an object of ours that a webhook would judge can then be made before its server
    runs (our own rules have judged it already), and later changes are judged by both.
    """
    found = _documents(manifests[addon.manifest].read_text()) if addon.manifest else []
    context = addon_context(inventory)
    for patch in _documents(render(f"addons/{addon.patches}", **context)) if addon.patches else []:
        if addon.manifest:
            found = _patched(found, patch)
        else:
            found.append(patch)
    if addon.objects:
        found += _documents(render(f"addons/{addon.objects}", **context))
    return sorted(found, key=_rank)


def addon_manifests(inventory: Inventory) -> list[str]:
    """Names of the artefacts that the add-ons' objects come from."""
    return [role.addon.manifest for role in addons(inventory) if role.addon and role.addon.manifest]


def addon_context(inventory: Inventory) -> dict[str, Any]:
    """The values add-on templates may use."""
    network = {
        "Network": str(inventory.kubernetes.pod_subnet),
        "SubnetLen": inventory.kubernetes.node_mask,
        "EnableNFTables": False,
        "Backend": {"Type": "vxlan", "VNI": inventory.flannel.vni, "Port": inventory.flannel.port},
    }
    chain = {
        "name": "cbr0",
        # the plugin built from Go modules (v0.9.1) knows nothing newer; newer plugins know it too
        "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    files = {"net-conf.json": _json(network), "cni-conf.json": _json(chain)}
    # On a fresh node these start before kube-proxy has made the API's ClusterIP work, and would wait
    # 30 s for it. By the balancer they need no kube-proxy; cut off from it, a speaker goes on announcing.
    api = {
        "KUBERNETES_SERVICE_HOST": str(inventory.hosts[inventory.balancer].address),
        "KUBERNETES_SERVICE_PORT": str(inventory.kubernetes.api_port),
        **inventory.client_environment,
    }
    probe = inventory.reaction.member_milliseconds
    # read by the speaker that is built here (addons/metallb/build); upstream's image does not know it
    members = {"PLUMBLINE_MEMBER_PROBE_MILLISECONDS": str(probe)} if probe else {}
    return {
        "inventory": inventory,
        "forwarding": {
            "image": pins(inventory).images["probe"],
            # behind a ClusterIP there is somebody only where kube-proxy has written its rules
            "command": [
                "/probe",
                "await",
                f"--link=flannel.{inventory.flannel.vni}",
                f"{inventory.kubernetes.service_subnet[1]}:443",
            ],
        },
        "api_environment": _environment(api),
        "speaker_environment": _environment(api | members),
        "flannel_files": files,
        # flanneld and its installer read these files once, so a changed file must change the pods
        "flannel_digest": sha256("".join(files.values()).encode()).hexdigest()[:16],
    }


def _environment(values: Mapping[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _documents(text: str) -> list[Object]:
    return [_without_nulls(document) for document in yaml.load_all(text, Loader=LOADER) if document]


def _without_nulls(value: Any) -> Any:
    """Generators of manifests write `creationTimestamp: null`; the API refuses it in an applied object."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _rank(item: Object) -> int:
    kind = item["kind"]
    if kind in ("Namespace", CRD):
        return 0
    if kind in WEBHOOKS:
        return 9
    return 5 if "spec" in item and "template" in item["spec"] else 1 if item["apiVersion"] != "v1" else 2


def _name(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _patched(found: list[Object], patch: Object) -> list[Object]:
    """The objects with `patch` merged into the one of its kind, namespace and name."""
    wanted = _name(patch)
    if wanted not in map(_name, found):
        raise FailedError(f"add-on patch: {'/'.join(wanted)} is not in the manifest")
    return [merge(item, patch) if _name(item) == wanted else item for item in found]


def merge(base: Any, patch: Any) -> Any:
    """Merge `patch` into `base`: mappings by key, lists of named items by name, all else replaced.

    An item of a list with `$patch: delete` is removed, as in Kubernetes' strategic merge.
    """
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {key: merge(base[key], value) if key in base else value for key, value in patch.items()}
    if not (
        isinstance(base, list) and isinstance(patch, list) and all(_named(item) for item in base + patch)
    ):
        return patch
    merged = {item["name"]: item for item in base}
    for item in patch:
        if item.get("$patch") == "delete":
            if merged.pop(item["name"], None) is None:
                raise FailedError(f"add-on patch: {item['name']} is not in the manifest")
        else:
            merged[item["name"]] = merge(merged.get(item["name"], {}), item)
    return list(merged.values())


def _named(item: Any) -> bool:
    return isinstance(item, dict) and "name" in item
