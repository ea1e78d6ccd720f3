"""A load run against a lab: the site behind the ingress, a profile, and the folder with its evidence."""

from __future__ import annotations

from pathlib import Path

from lab.checks.ingress import IngressClient, has_ingress
from lab.checks.sample_apps import ROUTES
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.inventory.sections import LoadProfile
from lab.load.generator import LoadTarget


def profile_of(inventory: Inventory, name: str) -> LoadProfile:
    """A profile by its name. Raises `InputError` with the names there are, or without an ingress."""
    if not has_ingress(inventory):
        raise InputError(
            "ingress: no add-on of the inventory provides one, so there is nothing to load",
            next_step="add ingress.address to the inventory and build",
        )
    if name not in inventory.load_profiles:
        known = ", ".join(inventory.load_profiles)
        raise InputError(f"--profile {name}: no such profile in `load` of the inventory; there are: {known}")
    return inventory.load_profiles[name]


def target_of(ingress: IngressClient) -> LoadTarget:
    """The site's URLs with the app behind each, at the ingress' address."""
    _ = ingress.tls  # raises without the CA
    routes = {f"https://{ingress.name(label)}{path}": app for (label, path), app in ROUTES.items()}
    return LoadTarget(ingress.address, ingress.driver.lab.authority.certificate_file, routes)


def new_folder(run_folder: Path, name: str) -> Path:
    """A folder for one run of Locust below a command's own."""
    return run_folder / "load" / name
