"""How much of the disk it takes to make or fetch what the store does not have."""

from __future__ import annotations

from collections.abc import Collection

from lab.artifacts.sources.modules import ModulesSource
from lab.artifacts.status import StatusRow, lacking
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import Image, Programs

# MiB, measured (du): everything of source modules for Debian 12, Kubernetes 1.31, Flannel, MetalLB, Traefik,
# 15,889 in all, of it 11,662 for Go's toolchain, modules and compiled packages, for 12 sets of programs.
BUILT = 970
"""One set of programs that is compiled."""
EACH = 77
"""One file, image or set of programs, as it is kept: 2,227 of 29 of them."""
OTHERS = {"debian": 302, "containerd-root": 1698, "payload": 0}
"""The trees; a payload is hard links."""


def room_mib(rows: Collection[StatusRow]) -> int:
    """MiB that those of the rows of `status` that are lacking take while they are made and afterwards, about.

    An image that is built here, while others are fetched, brings its sets of programs along.
    """
    components = load_catalogue().components
    listed = {row.component for row in rows}
    need, behind = 0, set()
    for row in lacking(rows):
        need += OTHERS.get(row.component, EACH)
        if row.component not in components or row.source != ModulesSource.name:
            continue
        component = components[row.component].versions[row.version]
        if isinstance(component, Programs):
            need += BUILT
        elif isinstance(component, Image):
            behind |= {part for part in component.parts if part.name not in listed}
    return need + len(behind) * (BUILT + EACH)
