"""What providers bring to an inventory: the section of those that cannot do without one.

`section` of a provider.yaml names its key; `lab/providers/NAME/section.py` holds its model as `SECTION`, and
may use all of `lab.inventory`. Nothing here knows a provider by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from lab.inventory.providers import names, rules_of
from lab.inventory.sections import Model
from lab.parts import part


@cache
def provider_sections() -> Mapping[str, type[Model]]:
    """The model of each provider's section, by its key."""
    needed = {name: rules_of(name).section for name in names()}
    return {
        section.key: part(f"lab.providers.{name}.section", "SECTION")
        for name, section in needed.items()
        if section
    }
