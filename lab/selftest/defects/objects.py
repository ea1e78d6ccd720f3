"""Defects of the cluster's objects: what somebody edited, added, removed or brought, and a failed job."""

from __future__ import annotations

import json
from shlex import quote

from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.render.bundle import pins
from lab.selftest.defect import Breakage, breakage
from lab.selftest.on_cluster import kubectl, made, removed, rewritten

SPACE = "kube-system"
PORT = 9999
"""Of a service, where nobody listens."""


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_objects(lab), *_pods(lab), _webhook(lab)]


def _objects(lab: Inventory) -> list[Breakage]:
    service = f"-n {SPACE} patch service kube-dns"
    port = {"name": "defect", "port": PORT, "protocol": "TCP", "targetPort": PORT}
    more = json.dumps([{"op": "add", "path": "/spec/ports/-", "value": port}])
    less = json.dumps({"spec": {"ports": [{"$patch": "delete", "port": PORT}]}})
    return [
        breakage(
            layer="cluster",
            name="object-edited",
            title="somebody edited the Corefile",
            row="P2-07",
            listed=True,
            says=f"ConfigMap/{SPACE}/coredns data.Corefile: rewrite name defect.example.com",
            **rewritten(
                lab,
                "object-edited",
                "configmap/coredns",
                SPACE,
                r"s|^\( *\)ready$|&\n\1rewrite name defect.example.com kubernetes.default.svc|",
            ),
        ),
        breakage(
            layer="cluster",
            name="rights-widened",
            title="a role of the platform may do more than it was given",
            row="P2-07",
            listed=True,
            says=r"ClusterRole/system:coredns rules: .*\"\*\"",
            **rewritten(lab, "rights-widened", "clusterrole/system:coredns", SPACE, "s|^  - list$|  - '*'|"),
        ),
        breakage(
            layer="cluster",
            name="port-added",
            title="a service of the platform has one port more",
            row="P2-07",
            listed=True,
            says=rf"Service/{SPACE}/kube-dns spec.ports\[port={PORT},.*added by kubectl-patch",
            **kubectl(
                lab,
                f"{service} --type json -p {quote(more)}",
                f"{service} -p {quote(less)}",
                "service/kube-dns",
            ),
        ),
        breakage(
            layer="cluster",
            name="object-removed",
            title="an object of the platform was deleted",
            row="P2-07",
            listed=True,
            says=f"RoleBinding/{SPACE}/kube-proxy: does not exist",
            **removed(lab, "rolebinding", "kube-proxy", SPACE),
        ),
    ]


def _pods(lab: Inventory) -> list[Breakage]:
    pause = pins(lab).images["pause"]

    def pod(image: str) -> dict[str, object]:
        return {
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
            "containers": [{"name": "defect", "image": image, "imagePullPolicy": "Never"}],
        }

    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "defect-image"},
        "spec": pod(f"{pause}-defect") | {"nodeName": lab.workers[1]},
    }
    late = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "defect-job"},
        "spec": {"activeDeadlineSeconds": 1, "backoffLimit": 0, "template": {"spec": pod(pause)}},
    }
    job = made(lab, "job", "defect-job", json.dumps(late), SPACE)
    job["damage"] += f" && {KUBECTL} -n {SPACE} wait --for=condition=Failed --timeout=50s job/defect-job"
    return [
        breakage(
            layer="cluster",
            name="job-failed",
            title="a job of the platform has given up",
            row="L2-08",
            listed=True,
            reddens=("P2-11",),
            says=f"job {SPACE}/defect-job: has failed: .*deadline",
            **job,
        ),
        breakage(
            layer="cluster",
            name="image-not-pinned",
            title="a pod of the platform has an image that nobody pinned",
            row="P2-08",
            reddens=("L2-08", "P2-11"),
            says=f"{SPACE}/defect-image defect: {pause}-defect",
            **made(lab, "pod", "defect-image", json.dumps(stranger), SPACE),
        ),
    ]


def _webhook(lab: Inventory) -> Breakage:
    one = {
        "name": "silent.defect.example.com",
        "clientConfig": {"service": {"namespace": "default", "name": "defect"}},
        # what nobody ever sends, so that nothing is held up
        "rules": [
            {
                "apiGroups": ["defect.example.com"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["defects"],
            }
        ],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    item = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "defect"},
        "webhooks": [one],
    }
    return breakage(
        layer="cluster",
        name="webhook-silent",
        title="the service of a webhook is gone",
        row="P2-09",
        says="silent.defect.example.com: service default/defect does not exist",
        **made(lab, "validatingwebhookconfiguration", "defect", json.dumps(item)),
    )
