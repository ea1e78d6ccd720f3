"""Upstream's manifests: what is asked for must mean something, whether or not it is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts.manifests import provide_manifests
from lab.errors import InputError


def test_a_source_that_does_not_exist_is_refused_even_when_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="source: 'foo' is not one of auto, upstream, modules"):
        provide_manifests("foo", [], say=print)
    assert provide_manifests("auto", [], say=print) == {}
