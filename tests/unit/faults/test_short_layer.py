"""The short layer ha, which the docs say breaks one thing of each family, does."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.faults.catalogue import FAMILIES

ACCEPTANCE = Path(__file__).parents[2] / "acceptance"


def functions() -> Iterator[Callable[..., None]]:
    """The tests of the layer that are not left to the full one."""
    for path in sorted(ACCEPTANCE.glob("test_40_ha_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, found in vars(module).items():
            if name.startswith("test_") and not any(m.name == "full" for m in found.pytestmark):
                yield found


def parameters(test: Callable[..., None]) -> list[Any]:
    """The values with which a short run calls a test; one that is nothing for a test without any."""
    given = [mark.args[1] for mark in test.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    return [item for item in given[0] if not hasattr(item, "marks")] if given else [""]


def breaks(test: Callable[..., None]) -> set[str]:
    """The names of the faults that it injects."""
    named = re.findall(r'\.under\(\s*(?:f?"([^"]+)"|\w+)', inspect.getsource(test))
    values = [str(value) for value in parameters(test)]
    return {re.sub(r"\{\w+\}", value, name) or value for name in named for value in values}


def test_a_short_run_breaks_one_thing_of_each_family_and_little_more(
    pytestconfig: pytest.Config,
) -> None:
    for mark in ("full", "check"):
        pytestconfig.addinivalue_line("markers", f"{mark}: of the acceptance suite")
    broken = sorted(name for test in functions() for name in breaks(test))
    of_family = {
        family.__name__.rpartition(".")[2]: [
            name for name in broken if name in {kind.name for kind in family.KINDS}
        ]
        for family in FAMILIES
    }
    assert of_family == {
        "power": ["power-off"],
        "processes": ["kill-kubelet", "stop-etcd"],
        "partitions": ["cut-peers"],
        "links": ["nic-down"],
        "disks": ["etcd-disk-full"],
        "pressure": ["memory-pressure"],
        "services": ["firewall-reload", "haproxy-reload"],
    }
