"""Objects in the output of kubeadm's dry run, as kubeadm 1.31 prints them."""

from __future__ import annotations

import pytest

from lab.cluster.kubeadm_objects import made

OUTPUT = """\
[dryrun] Would perform action GET on resource "configmaps" in API group "core/v1"
[dryrun] Resource name: "coredns"
[dryrun] Would perform action CREATE on resource "configmaps" in API group "core/v1"
[dryrun] Attached object:
\tapiVersion: v1
\tdata:
\t  Corefile: |
\t    .:53 {
\t        ready
\t    }
\tkind: ConfigMap
\tmetadata:
\t  creationTimestamp: null
\t  name: coredns
\t  namespace: kube-system
[dryrun] Would perform action CREATE on resource "services" in API group "core/v1"
[dryrun] Attached object:
\tapiVersion: v1
\tkind: Service
\tmetadata:
\t  name: kube-dns
\t  namespace: kube-system
\t  resourceVersion: "0"
\tspec:
\t  clusterIP: 10.96.0.10
\tstatus:
\t  loadBalancer: {}
[addons] Applied essential addon: CoreDNS
"""


def test_each_object_is_read_as_it_can_be_applied() -> None:
    assert made(OUTPUT) == [
        {
            "apiVersion": "v1",
            "data": {"Corefile": ".:53 {\n    ready\n}\n"},
            "kind": "ConfigMap",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"clusterIP": "10.96.0.10"},
        },
    ]


def test_an_object_at_the_end_of_the_output_is_read() -> None:
    assert len(made(OUTPUT.removesuffix("[addons] Applied essential addon: CoreDNS\n"))) == 2


def test_an_output_without_objects_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"names no object: .*nothing to do"):
        made("[addons] nothing to do\n")
