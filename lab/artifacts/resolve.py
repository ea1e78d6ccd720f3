"""Write the go.sum of a recipe after a change of version.

`python -m lab.artifacts.resolve COMPONENT [VERSION]`, the first version if none is named. For those who
maintain the catalogue; building a lab never changes a recipe.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from lab.artifacts import programs
from lab.artifacts.compile import prepare_source
from lab.artifacts.recipes import load_recipe
from lab.artifacts.store import Store
from lab.artifacts.toolchain import go_toolchain, host_arch
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import ComponentVersion, Programs
from lab.errors import InputError, PlumblineError


def resolve(item: ComponentVersion) -> None:
    """Let Go find every module that a recipe's programs need, and keep their checksums.

    Raises `InputError` for what has no recipe, and what the toolchain says as `CommandError`: a module that
    is not published, say.
    """
    component = load_catalogue().get(item)
    if not isinstance(component, Programs) or not component.modules:
        raise InputError(f"{item}: has no recipe", next_step="name a set of programs that is built here")
    store, folder = Store(say=print), component.modules
    recipe = load_recipe(folder)
    go = go_toolchain(store, host_arch(), say=print)
    log = store.folder / "logs" / f"{item.name}-resolve.log"
    with tempfile.TemporaryDirectory(prefix="plumbline-") as work:
        source = prepare_source(go, folder, recipe, Path(work), log)
        command = [str(go.go), "list", "-deps", "-tags", ",".join(recipe.tags), *recipe.programs.values()]
        programs.run(command, log=log, cwd=source, env={**go.env, "GOFLAGS": "-mod=mod"})
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(source / file, folder / file)


def main(arguments: list[str]) -> int:
    """The program; its exit code is that of the error."""
    if len(arguments) not in (1, 2):
        print("usage: python -m lab.artifacts.resolve COMPONENT [VERSION]", file=sys.stderr)
        return InputError.exit_code
    try:
        name, *version = arguments
        known = load_catalogue().components.get(name)
        resolve(ComponentVersion(name, version[0] if version else known.first if known else ""))
    except PlumblineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
