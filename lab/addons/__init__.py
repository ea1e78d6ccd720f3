"""Add-ons as data: the folders of `addons/`, found, checked and put in order."""

from lab.addons.load import FOLDER, addons, provider_of, selected
from lab.addons.model import AddOn

__all__ = ["FOLDER", "AddOn", "addons", "provider_of", "selected"]
