"""render: every file of an inventory, without a machine and without what only a build needs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.commands.session import OF_ARTEFACTS, ROOT, read, shown, stopping
from lab.providers.opening import outputs, traits_of
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
        with stopping(OF_ARTEFACTS):
            manifests = provide_files(source, wanted(found), addon_manifests(found), say=print)
        keys = Keys(found.lab)
        files = everything(found, traits_of(found), pins(found), keys, manifests, outputs(found, keys))
        written = write(run, files)
    finally:
        run.close()
    print(f"{written} files of {len(found.hosts)} hosts: {run.folder / 'rendered'}")


def write(run: Run, files: Iterable[tuple[str, str]]) -> int:
    """Write each file by its path, and give back how many there are.

    A host with the same root/ as one before it gets a link to that: a person sees that they are alike, and
    of 1,000 hosts not 15,000 folders are made, which took longer than to render what is in them.
    """
    written, trees = 0, dict[tuple[tuple[str, str], ...], str]()
    for part, group in groupby(files, key=lambda file: file[0].split("/")[:2]):
        texts = [("/".join(path.split("/")[2:]), text) for path, text in group]
        folder, written = "/".join(part), written + len(texts)
        same = trees.setdefault(tuple(texts), folder) if part[1:] == ["root"] else folder
        if same != folder:
            link = run.folder / "rendered" / folder
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"../{same}", target_is_directory=True)
            continue
        for name, text in texts:
            path = "/".join(filter(None, (folder, name)))
            # seeds hold host keys and must work as they are; all else is evidence, with secrets masked
            run.keep(f"rendered/{path}", text, private=is_seed(path))
    return written
