"""Row P2-11: what stands in the platform's namespaces, and whose it is."""

from __future__ import annotations

import pytest

from lab.addons.mark import LABEL as OURS
from lab.checks import verbs
from lab.checks.declared import Declared, nobody, others
from lab.checks.outcomes import Mismatch
from lab.checks.strangers import in_our_places
from lab.checks.workspace import LABEL as OF_CHECKS
from tests.fake_api import FakeApi
from tests.fakes import FakeClock
from tests.unit.strangers.making import RBAC, put, written


def test_what_is_declared_and_what_kubernetes_makes_is_accepted(declared: Declared, api: FakeApi) -> None:
    account = {"kind": "ServiceAccount", "namespace": "kube-system", "name": "job-controller"}
    put(api, f"{RBAC}/clusterrolebindings", "system:controller:x", by="kube-apiserver", subjects=[account])
    for space in ("kube-system", "metallb-system"):
        put(api, "/api/v1/configmaps", "kube-root-ca.crt", space, by="kube-controller-manager")
        put(api, "/api/v1/serviceaccounts", "default", space, by="kube-controller-manager")
    put(api, "/api/v1/serviceaccounts", "job-controller", "kube-system", by="kube-controller-manager")
    put(api, "/api/v1/configmaps", "kubeadm-config", "kube-system", by="kubeadm")
    edited = put(api, "/api/v1/configmaps", "kubelet-config", "kube-system", by="kubeadm")
    edited["metadata"]["managedFields"].append(written("kubectl-replace", "data"))
    deployment = api.objects["/apis/apps/v1/namespaces/kube-system/deployments/coredns"]
    owner = {"kind": "Deployment", "name": "coredns", "uid": deployment["metadata"]["uid"]}
    put(api, "/apis/apps/v1/replicasets", "coredns-1", "kube-system", owners=(owner,))
    assert in_our_places(declared) == []


def test_what_people_have_elsewhere_and_what_other_rows_judge_is_accepted(
    declared: Declared, api: FakeApi
) -> None:
    put(api, "/apis/apps/v1/deployments", "app", "default", spec={})
    put(api, "/apis/networking.k8s.io/v1/networkpolicies", "app", "shop", spec={})
    put(api, "/api/v1/secrets", "token", "kube-system")
    put(api, f"{RBAC}/rolebindings", "bound", "kube-system")
    put(api, "/api/v1/configmaps", "left", "traefik", labels={OURS: "former"})
    put(api, "/api/v1/configmaps", "probe", "metallb-system", labels={OF_CHECKS: "pool"})
    assert in_our_places(declared) == []


@pytest.mark.parametrize(
    ("collection", "space", "told"),
    [
        (
            "/apis/networking.k8s.io/v1/networkpolicies",
            "metallb-system",
            "NetworkPolicy/metallb-system/x: decides whom pods of the platform reach, and who reaches them",
        ),
        (
            "/api/v1/resourcequotas",
            "traefik",
            "ResourceQuota/traefik/x: may keep pods of the platform from starting anew",
        ),
        (
            "/apis/apps/v1/deployments",
            "kube-flannel",
            "Deployment/kube-flannel/x: runs among the platform's own",
        ),
        ("/api/v1/pods", "kube-public", "Pod/kube-public/x: runs among the platform's own"),
        ("/api/v1/configmaps", "kube-system", "ConfigMap/kube-system/x: nobody declared it there"),
        (
            "/api/v1/serviceaccounts",
            "kube-system",
            "ServiceAccount/kube-system/x: pods may run under it among the platform's own",
        ),
    ],
)
def test_a_stranger_is_named_with_what_it_can_do(
    declared: Declared, api: FakeApi, collection: str, space: str, told: str
) -> None:
    put(api, collection, "x", space)
    assert in_our_places(declared) == [told]


def test_what_goes_with_a_stranger_or_with_nobody_is_not_hidden(declared: Declared, api: FakeApi) -> None:
    put(api, "/api/v1/pods", "x", "kube-system", owners=({"kind": "Job", "name": "gone", "uid": "gone"},))
    claim = put(api, "/api/v1/persistentvolumeclaims", "data", "traefik", spec={})
    claim["metadata"]["managedFields"].append(written("kube-controller-manager", "spec"))
    assert [line.partition(":")[0] for line in in_our_places(declared)] == [
        "Pod/kube-system/x",
        "PersistentVolumeClaim/traefik/data",
    ]


def test_an_edit_of_what_machines_that_join_read_is_named(declared: Declared, api: FakeApi) -> None:
    edited = put(api, "/api/v1/configmaps", "cluster-info", "kube-public", by="kubeadm")
    edited["metadata"]["managedFields"].append(written("kube-controller-manager", "data"))
    assert in_our_places(declared) == []
    edited["metadata"]["managedFields"].append(written("kubectl-edit", "data"))
    assert in_our_places(declared) == [
        "ConfigMap/kube-public/cluster-info: is of Kubernetes' own, and was written by kubectl-edit (data)"
    ]


def test_the_verdict_names_them_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "time", FakeClock())
    with pytest.raises(Mismatch) as told:
        nobody("strangers", lambda: ["Pod/kube-system/x: runs among the platform's own"])
    assert "Pod/kube-system/x: runs" in told.value.seen
    assert told.value.command.startswith("kubectl get KIND NAME")


def test_writers_of_status_and_of_labels_say_nothing() -> None:
    meta = {
        "managedFields": [
            written("kubectl-label", "metadata"),
            written("speaker", "status") | {"subresource": "status"},
            written("kube-apiserver", "rules"),
            written("kubectl-edit", "rules", "metadata"),
        ]
    }
    assert others(meta) == "kubectl-edit (rules)"
