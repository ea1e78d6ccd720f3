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
