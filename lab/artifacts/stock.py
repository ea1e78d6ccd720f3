"""Programs and images for machines of one architecture that get them over SSH."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.images import StoredImage


@dataclass(frozen=True)
class Stock:
    """`programs`: name -> file of the store, whose name is its sha256; `images` by reference."""

    programs: Mapping[str, Path]
    images: Mapping[str, StoredImage]
