"""A little lab whose cluster has what is declared and what Kubernetes makes by itself, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.checks import rendered as module
from lab.checks.declared import KUBERNETES, Declared
from lab.checks.driver import Driver
from lab.checks.rendered import Rendered
from lab.labs import Lab
from lab.render.bundle import pins
from tests.fake_api import FakeApi, FakeCluster
from tests.fakes import FakeProvider, FakeSsh
from tests.unit.strangers.making import put
from tests.world import MANIFESTS, inventory

PRINTED = """\
[dryrun] Attached object:
\tapiVersion: apps/v1
\tkind: Deployment
\tmetadata: {name: coredns, namespace: kube-system}
\tspec: {template: {spec: {dnsPolicy: Default}}}
[dryrun] Attached object:
\tapiVersion: v1
\tkind: Service
\tmetadata: {name: kube-dns, namespace: kube-system}
\tspec: {clusterIP: 10.96.0.10}
"""


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def declared(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Declared:
    """What the lab declares, all of which is there."""
    monkeypatch.setattr(module, "provide_files", lambda *_, **__: MANIFESTS)
    ssh = FakeSsh()
    ssh.on("", "kubeadm init phase addon all", PRINTED)
    lab = Lab(inventory(), tmp_path, FakeProvider(), ssh=ssh)
    driver = Driver(lab, tmp_path / "run", pins(lab.inventory), stand_in=FakeCluster(api))
    found = Declared(driver, Rendered(driver))
    for item in sorted(found.objects, key=lambda item: item["kind"] != "Namespace"):
        api.apply(item)
    for space in (*KUBERNETES, "default"):
        put(api, "/api/v1/namespaces", space, by="kube-apiserver")
        born = {"creationTimestamp": "2026-01-01T00:00:00Z"}
        api.objects[f"/api/v1/namespaces/{space}"]["metadata"] |= born
    for space in found.spaces:
        # every API server labels every namespace so
        meta = api.objects[f"/api/v1/namespaces/{space}"]["metadata"]
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = space
    return found
