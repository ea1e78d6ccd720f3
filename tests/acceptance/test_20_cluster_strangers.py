"""Layer cluster: what is in the cluster that nobody declared, where it can hurt the platform."""

from __future__ import annotations

from functools import partial

import pytest

from lab.checks import admission, pod_power, rights, strangers, taken, tokens
from lab.checks.declared import Declared, nobody
from lab.checks.driver import Driver
from lab.checks.rendered import Rendered

BINDINGS = "kubectl get clusterrolebindings,rolebindings -A -o wide; kubectl describe clusterrole NAME"
SECRETS = "kubectl get secrets -A; kubectl get csr -o wide; kubeadm token list"
IN_THE_WAY = (
    "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations,apiservices,flowschemas,"
    "validatingadmissionpolicybindings -o yaml"
)


@pytest.fixture(scope="module")
def declared(driver: Driver) -> Declared:
    """What the lab declares in its cluster."""
    return Declared(driver, Rendered(driver))


@pytest.mark.check("P2-11")
def test_nobody_else_is_in_the_namespaces_of_the_platform(declared: Declared) -> None:
    """Every object there, of any kind, is an add-on's, kubeadm's or of Kubernetes' own, or goes with one."""
    nobody("strangers in the platform's namespaces", partial(strangers.in_our_places, declared))


@pytest.mark.check("P2-12")
def test_nobody_else_stands_before_the_api(declared: Declared) -> None:
    """Webhooks, policies, aggregated APIs and queues of others leave the platform's requests alone."""
    nobody("strangers before the API", partial(admission.in_the_way, declared), command=IN_THE_WAY)


@pytest.mark.check("P2-13")
def test_nobody_has_rights_whom_nobody_declared(declared: Declared) -> None:
    """No binding of others gives power over the platform; roles and bindings of Kubernetes are its own."""
    nobody("rights over the platform", partial(rights.beyond_what_is_declared, declared), command=BINDINGS)


@pytest.mark.check("P2-14")
def test_no_token_and_no_certificate_is_left(declared: Declared) -> None:
    """Secrets of the platform's namespaces are declared, tokens to join end, certificates are kubelets'."""
    nobody("secrets that nobody declared", partial(tokens.left, declared), command=SECRETS)


@pytest.mark.check("P2-15")
def test_pods_of_others_leave_the_machines_alone(declared: Declared) -> None:
    """No pod of others is root of a machine, sees what the platform has there, or takes its place."""
    nobody("pods with power over machines", partial(pod_power.over_machines, declared))


@pytest.mark.check("P2-16")
def test_nobody_takes_what_is_the_platforms(declared: Declared) -> None:
    """Addresses, endpoints, defaults and drains of the platform are claimed by nobody else."""
    nobody("claims to what is the platform's", partial(taken.from_the_platform, declared))
