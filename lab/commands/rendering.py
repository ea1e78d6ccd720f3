"""render: every file of an inventory, without a machine and without what only a build needs."""

from __future__ import annotations

from lab.artifacts.manifests import provide_manifests
from lab.commands.session import ROOT, read, shown
from lab.labs import traits_of
from lab.render.addons import addon_manifests
from lab.render.bundle import pins
from lab.render.outputs import everything, is_seed
from lab.runs import Run
from lab.ssh import Keys


@shown
def render(inventory: str, provider: str, source: str) -> None:
    """Write every file of every host into the run's folder; needs no machine and makes none."""
    found = read(inventory, provider)
    run = Run(ROOT, found.lab, "render")
    try:
        manifests = provide_manifests(source, addon_manifests(found), say=print)
        files = everything(found, traits_of(found), pins(), Keys(found.lab), manifests)
        # seeds hold host keys and must work as they are; all else is evidence, with secrets masked
        paths = [run.keep(f"rendered/{path}", text, private=is_seed(path)) for path, text in files]
    finally:
        run.close()
    print(f"{len(paths)} files of {len(found.hosts)} hosts: {run.folder / 'rendered'}")
