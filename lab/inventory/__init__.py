"""The inventory: one YAML file, one lab."""

from lab.inventory.loading import load
from lab.inventory.models import Inventory

__all__ = ["Inventory", "load"]
