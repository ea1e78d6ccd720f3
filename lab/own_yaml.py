"""The YAML of this project's own files (roles, catalogue, recipes), and that of Kubernetes' objects.

libyaml reads and writes ten times as fast as Python does. An inventory is people's own, and read by
`lab.inventory.document`, which knows the line of every value and YAML 1.2.
"""

from __future__ import annotations

from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The second ones where PyYAML was built without libyaml."""


def read(text: str) -> Any:
    """The data of a text. Raises `yaml.YAMLError`, also for a key that stands twice (one would be lost)."""
    loader = LOADER(text)
    try:
        node = loader.get_single_node()
        _refuse_repeated(node)
        return loader.construct_document(node) if node else None
    finally:
        loader.dispose()


def loads(text: str) -> Any:
    """The data of a text that a program wrote or that lives in a cluster. Raises `yaml.YAMLError`."""
    return yaml.load(text, Loader=LOADER)


class _Quoting(yaml.SafeDumper):  # type: ignore[misc] # PyYAML has no types
    """Quotes as Kubernetes' own programs do, so that a diff of their files shows what was changed alone."""


def _text(dumper: _Quoting, text: str) -> Any:
    plain = dumper.resolve(yaml.ScalarNode, text, (True, False)) == "tag:yaml.org,2002:str" and text
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Quoting.add_representer(str, _text)


def as_kubernetes(settings: Any) -> str:
    """Settings as kubeadm writes them: keys sorted, text that would be read as a number in double quotes."""
    text: str = yaml.dump(settings, Dumper=_Quoting, sort_keys=True)
    return text


def _refuse_repeated(node: Any) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            # a list or a mapping as a key is refused when the data are made
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"duplicate key {key.value!r}", problem_mark=key.start_mark
                    )
                seen.add(key.value)
            _refuse_repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated(value)


def without_nulls(value: Any) -> Any:
    """Generators of manifests write `creationTimestamp: null`; the API refuses it in an applied object."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
