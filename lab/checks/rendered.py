"""Objects as rendered: what the lab and kubeadm make in the cluster, against what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from lab.addons import AddOn, selected
from lab.addons.model import Certificate, Secret
from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import becomes
from lab.cluster import kubelets
from lab.cluster.api import FIELD_MANAGER, Api
from lab.cluster.apply import ObjectChange
from lab.cluster.certificates import certificate_change
from lab.cluster.drift import Drift, drift
from lab.cluster.kubeadm_objects import COMMAND, MANAGER, made
from lab.cluster.outside_secrets import outside_change
from lab.cluster.passwords import password_changes
from lab.errors import PreflightError
from lab.inventory.addon_sections import outside
from lab.inventory.outside import OutsideSecret
from lab.objects import Object, title
from lab.passwords import Passwords
from lab.render.addons import addon_manifests, is_partial, merge, objects
from lab.render.components import kubelet_settings
from lab.render.kubeadm import init

if TYPE_CHECKING:
    from lab.authority import Authority

SETTLE_SECONDS = 5
"""A controller may write between the two looks of a comparison; what is really otherwise stays so."""


@dataclass(frozen=True)
class Rendered:
    """The objects that must be in the cluster of a lab."""

    driver: Driver

    @cached_property
    def of_addons(self) -> dict[str, list[Object]]:
        """Each add-on's objects. An add-on that only adds to objects of kubeadm's has the whole of these."""
        inventory = self.driver.inventory
        names = addon_manifests(inventory)
        files = provide_files("auto", wanted(inventory), names, say=lambda _: None) if names else {}
        found = {addon.name: objects(inventory, addon, files) for addon in selected(inventory)}
        for addon in filter(is_partial, selected(inventory)):
            whole = {title(item): item for item in self.of_kubeadm}
            found[addon.name] = [merge(whole.get(title(item), {}), item) for item in found[addon.name]]
        return found

    @cached_property
    def of_kubeadm(self) -> list[Object]:
        """What kubeadm makes from the document with which the cluster was founded, told by the first master
        that answers. Raises `CouldNotTell` when none does."""
        driver, problems = self.driver, []
        for master in driver.inventory.masters:
            document = init(driver.inventory, driver.traits[master], driver.pins, master)
            try:
                return made(driver.read(master, COMMAND, stdin=document))
            except (CouldNotTell, ValueError) as error:
                problems.append(f"{master}: {error}")
        raise CouldNotTell("; ".join(problems), next_step="invoke status")

    def addon(self, addon: AddOn) -> list[Drift]:
        """Where an add-on's objects, secrets and certificates are not as rendered."""
        manager = MANAGER if is_partial(addon) else FIELD_MANAGER
        cluster = self.driver.cluster
        found = [
            cluster.look(partial(drift, item=item, manager=manager)) for item in self.of_addons[addon.name]
        ]
        authority, passwords = self.driver.lab.authority, self.driver.lab.passwords
        found += [
            cluster.look(partial(_secret, wanted=secret, passwords=passwords)) for secret in addon.secrets
        ]
        found += [
            cluster.look(partial(_certificate, wanted=one, authority=authority)) for one in addon.certificates
        ]
        root, inventory = self.driver.lab.root, self.driver.inventory
        found += [cluster.look(partial(_outside, wanted=one, root=root)) for one in outside(inventory, addon)]
        return [one for items in found for one in items]

    def kubeadm(self) -> list[Drift]:
        """Where kube-proxy, and what else kubeadm makes and no add-on adds to, is not as it would make it."""
        others = {
            title(item)
            for addon in filter(is_partial, selected(self.driver.inventory))
            for item in self.of_addons[addon.name]
        }
        mine = [item for item in self.of_kubeadm if title(item) not in others]
        looks = [self.driver.cluster.look(partial(drift, item=item, manager=MANAGER)) for item in mine]
        return [one for items in looks for one in items]

    def kubelets(self) -> list[Drift]:
        """Where the settings that joining nodes take are not ours."""
        driver = self.driver
        settings = kubelet_settings(driver.inventory, driver.traits[driver.inventory.masters[0]])
        live = driver.cluster.get(kubelets.CONFIGMAP)
        return kubelets.drift(live, settings) if live else [kubelets.ABSENT]


def agree(subject: str, look: Callable[[], list[Drift]]) -> None:
    """Nothing has drifted. Raises `Mismatch` with every object and field that has, with both values."""
    becomes(
        f"objects of {subject}",
        look,
        lambda found: not found,
        within=SETTLE_SECONDS,
        expected="as rendered",
        command="invoke plan; kubectl get KIND NAME -o yaml --show-managed-fields",
    )


def _secret(api: Api, wanted: Secret, passwords: Passwords) -> list[Drift]:
    """A random secret is there; what it is nobody knows, but for one that is kept here."""
    if wanted.kept:
        return [
            Drift(
                one.name,
                "",
                one.after.strip() or "newer than its password",
                one.replaced or one.before.strip() or "does not exist",
            )
            for one in password_changes(api, wanted, passwords)
        ]
    living = api.get(f"/api/v1/namespaces/{wanted.namespace}/secrets/{wanted.name}") or {}
    name = f"Secret/{wanted.namespace}/{wanted.name}"
    return [] if (living.get("data") or {}).get(wanted.key) else [Drift(name, "", "there", "does not exist")]


def _outside(api: Api, wanted: OutsideSecret, root: Path) -> list[Drift]:
    """A secret holds what the files of this machine hold."""
    try:
        return _as_drift(outside_change(api, wanted, root))
    except PreflightError as error:
        raise CouldNotTell(error.message, next_step=error.next_step) from error


def _certificate(api: Api, wanted: Certificate, authority: Authority) -> list[Drift]:
    return _as_drift(certificate_change(api, wanted, authority))


def _as_drift(change: ObjectChange | None) -> list[Drift]:
    if change is None:
        return []
    return [Drift(change.name, "", change.after.strip(), change.before.strip() or "does not exist")]
