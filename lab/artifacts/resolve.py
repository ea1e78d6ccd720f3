"""Write the go.sum of a recipe: `python -m lab.artifacts.resolve NAME`, after a version was changed.

For those who maintain the catalogue; building a lab never changes a recipe.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from lab.artifacts import programs
from lab.artifacts.catalogue import RECIPES
from lab.artifacts.compile import prepare_source
from lab.artifacts.recipes import load_recipe
from lab.artifacts.store import Store
from lab.artifacts.toolchain import go_toolchain, host_arch


def resolve(name: str) -> None:
    """Let Go find every module that a recipe's programs need, and keep their checksums.

    Raises what the toolchain says as `CommandError`: a module that is not published, say.
    """
    store, recipe = Store(), load_recipe(name)
    go = go_toolchain(store, host_arch(), say=print)
    log = store.folder / "logs" / f"{name}-resolve.log"
    with tempfile.TemporaryDirectory(prefix="plumbline-") as work:
        source = prepare_source(go, name, recipe, Path(work), log)
        command = [str(go.go), "list", "-deps", "-tags", ",".join(recipe.tags), *recipe.programs.values()]
        programs.run(command, log=log, cwd=source, env={**go.env, "GOFLAGS": "-mod=mod"})
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(source / file, RECIPES / name / file)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        resolve(argument)
