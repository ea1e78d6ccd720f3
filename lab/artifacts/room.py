"""How much of the disk it takes to make or fetch what the store does not have."""

from __future__ import annotations

from collections.abc import Iterable

from lab.artifacts.sources.modules import ModulesSource
from lab.artifacts.status import StatusRow
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import Programs

# MiB, measured (du): everything of source modules for Debian 12, Kubernetes 1.31, Flannel, MetalLB, Traefik,
# 15,889 in all, of it 11,662 for Go's toolchain, modules and compiled packages, for 12 sets of programs.
BUILT = 970
"""One set of programs that is compiled."""
EACH = 77
"""One file, image or set of programs, as it is kept: 2,227 of 29 of them."""
OTHERS = {"debian": 302, "containerd-root": 1698, "payload": 0}
"""The trees; a payload is hard links."""


def room_mib(rows: Iterable[StatusRow]) -> int:
    """MiB that the rows of `status` take while they are made and afterwards, about."""
    components = load_catalogue().components
    need = 0
    for row in rows:
        need += OTHERS.get(row.component, EACH)
        kind = components.get(row.component)
        if kind and row.source == ModulesSource.name and isinstance(kind.versions[kind.first], Programs):
            need += BUILT
    return need
