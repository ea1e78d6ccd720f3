"""What decides besides its section whether an add-on is part of a lab (`when`): it must decide something."""

from __future__ import annotations

from pydantic import BaseModel

from lab.inventory.field_places import FieldPlace


def unfit(model: type[BaseModel], section: str, when: str) -> str:
    """Why no inventory could meet a condition, or every one does; "" for one that decides something."""
    written, _, value = when.partition("=")
    keys = written.split(".")
    places: list[FieldPlace] = []
    for depth, key in enumerate(keys):
        outer = places[-1] if places else FieldPlace(model)
        if outer.model is None or key not in outer.model.model_fields:
            name = ".".join((section, *keys[:depth]))
            known = ", ".join(outer.model.model_fields) if outer.model else "none"
            return f"{name} has no key {key}; there are: {known}"
        places.append(FieldPlace(outer.model.model_fields[key].annotation, outer.model.model_fields[key]))
    last = places[-1]
    if value and not last.choices:
        return f"{section}.{written} is no closed list of values; leave ={value} out"
    if value and value not in last.choices:
        return f"{section}.{written} must be one of {', '.join(last.choices)}"
    if not value and not any(place.may_be_none for place in places):
        return f"{section}.{written} is a part of every {section}; leave `when` out, or write =VALUE"
    return ""
