"""Layer cluster: objects as rendered, images as pinned, definitions served, webhooks that answer."""

from __future__ import annotations

from functools import partial

import pytest

from lab.addons import AddOn
from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.platform import differing_contents, unpinned_images
from lab.checks.rendered import Rendered, agree
from lab.checks.verbs import becomes, nothing
from lab.cluster.webhooks import unanswered
from lab.cluster.workloads import CRD, WEBHOOKS, lacking

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PODS = "kubectl get pods -A -o custom-columns=POD:.metadata.name,IMAGES:.spec.containers[*].image"


@pytest.fixture(scope="module")
def rendered(driver: Driver) -> Rendered:
    """The objects that must be there."""
    return Rendered(driver)


@pytest.mark.check("P2-07")
def test_objects_of_an_add_on_are_as_rendered(rendered: Rendered, addon: AddOn) -> None:
    """Every object of the add-on is there, with every field as rendered and none added by others."""
    agree(addon.title, partial(rendered.addon, addon))


@pytest.mark.check("P2-07")
def test_objects_of_kubeadm_are_as_it_would_make_them(rendered: Rendered) -> None:
    """kube-proxy and what else kubeadm made is as kubeadm makes it from the inventory's document."""
    agree("kubeadm", rendered.kubeadm)


@pytest.mark.check("P2-07")
def test_the_settings_of_kubelets_that_join_are_as_rendered(rendered: Rendered) -> None:
    """The ConfigMap that joining nodes take their kubelet's settings from holds ours."""
    agree("the kubelets", rendered.kubelets)


@pytest.mark.check("P2-08")
def test_images_of_the_platform_are_the_pinned_ones(driver: Driver) -> None:
    """Every container of the platform has the image that is pinned for the lab's versions."""
    wrong = unpinned_images(health.system_pods(driver), driver.pins.images)
    nothing("images of containers", wrong, rule="as pinned by the artefact catalogue", command=PODS)


@pytest.mark.check("P2-08")
def test_an_image_is_the_same_wherever_it_runs(driver: Driver) -> None:
    """What runs under one reference is the same content on every node of an architecture."""
    architectures = {name: driver.inventory.hosts[name].arch.value for name in driver.inventory.nodes}
    differing = differing_contents(health.system_pods(driver), architectures)
    nothing("images with several contents", differing, rule="one for each architecture", command=PODS)


@pytest.mark.check("P2-09")
def test_definitions_are_served(driver: Driver) -> None:
    """The API serves every CustomResourceDefinition."""

    def look() -> dict[str, str]:
        found = {item["metadata"]["name"]: lacking(CRD, item) for item in driver.cluster.items(DEFINITIONS)}
        return {name: why for name, why in found.items() if why}

    becomes(
        "definitions that are not served",
        look,
        lambda found: not found,
        within=10,
        expected="none",
        command="kubectl get crd",
    )


@pytest.mark.check("P2-09")
def test_webhooks_answer(driver: Driver) -> None:
    """Every webhook that the API servers would call answers, whoever has asked for it."""
    paths = (DEFINITIONS, *(f"{ADMISSION}/{kind.lower()}s" for kind in WEBHOOKS))

    def look() -> dict[str, str]:
        items = [item for path in paths for item in driver.cluster.items(path)]
        found: dict[str, str] = {}
        for item in items:
            silent = driver.cluster.look(partial(unanswered, item=item))
            found |= {f"{item['metadata']['name']}: {name}": why for name, why in silent.items()}
        return found

    becomes(
        "webhooks that do not answer",
        look,
        lambda found: not found,
        within=10,
        expected="none",
        command="kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
    )
