"""Building the programs of a recipe with the pinned Go toolchain, or with the C compiler."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts import programs
from lab.artifacts.recipes import CProgram, Recipe, apply_edit, check_sum, load_recipe
from lab.artifacts.store import Say, Store
from lab.artifacts.toolchain import MACHINE, Toolchain, go_toolchain, host_arch
from lab.errors import FailedError, PreflightError

# A progress line at most this often, in seconds.
QUIET = 15.0


@dataclass(frozen=True)
class Module:
    """A fetched module: its source folder and its checksum in go.sum's notation."""

    folder: Path
    sum: str


def build(
    store: Store, name: str, recipe_folder: Path, arch: str, work: Path, *, say: Say
) -> dict[str, Path]:
    """Build the recipe of component `name` for an architecture in the empty folder `work`; programs by name.

    Raises `CommandError` with the end of the compiler's output, `InputError` for a recipe that no longer
    fits, `PreflightError` when a C compiler is needed and missing.
    """
    recipe = load_recipe(recipe_folder)
    go = go_toolchain(store, arch, say=say)
    log = store.folder / "logs" / f"{name}-{arch}.log"
    if recipe.c:
        return {recipe.c.program: _compile_c(go, recipe.c, arch, work, log)}
    source = prepare_source(go, recipe_folder, recipe, work, log)
    return _compile_go(go, name, recipe, source, work / "out", log, say)


def prepare_source(go: Toolchain, folder: Path, recipe: Recipe, work: Path, log: Path) -> Path:
    """The folder in which a recipe is built: its own files and the changed copies of modules."""
    source = work / "source"
    shutil.copytree(folder, source)
    for edit in recipe.edits:
        module = fetch_module(go, edit.module, work, log)
        check_sum(edit.module, edit.sum, module.sum)
        apply_edit(edit, module.folder, folder, source / edit.folder)
    return source


def fetch_module(go: Toolchain, module: str, work: Path, log: Path) -> Module:
    """Fetch MODULE@VERSION into the module cache; Go checks it against the checksum database."""
    output: list[str] = []
    command = [str(go.go), "mod", "download", "-json", module]
    programs.run(command, log=log, cwd=work, env=go.env, each_line=output.append)
    answer = json.loads("\n".join(output))
    return Module(Path(answer["Dir"]), answer["Sum"])


def _compile_go(
    go: Toolchain, name: str, recipe: Recipe, source: Path, out: Path, log: Path, say: Say
) -> dict[str, Path]:
    # -s -w: no symbol table; it halves the size. Variables carry the version.
    linker = " ".join(["-s", "-w", *(f"-X={path}={value}" for path, value in recipe.variables.items())])
    command = [str(go.go), "build", "-v", "-trimpath", "-buildvcs=false"]
    command += [
        "-tags",
        ",".join(recipe.tags),
        "-ldflags",
        linker,
        "-o",
        f"{out}/",
        *recipe.programs.values(),
    ]
    out.mkdir()
    progress = _Progress(name, say)
    seconds = programs.run(command, log=log, cwd=source, env=go.env, each_line=progress)
    say(f"{name}: {len(recipe.programs)} programs, {progress.packages} packages compiled in {seconds:.0f} s")
    made = {program: out / default_name(package) for program, package in recipe.programs.items()}
    missing = [program for program, path in made.items() if not path.is_file()]
    if missing:
        raise FailedError(f"{name}: the build made no {', '.join(missing)}", next_step=f"less {log}")
    return made


def default_name(package: str) -> str:
    """The name that `go build` gives a program: the last part of its path that is not a version."""
    parts = package.split("/")
    if len(parts) > 1 and re.fullmatch(r"v[2-9]\d*|v1\d+", parts[-1]):
        parts.pop()
    return parts[-1]


def _compile_c(go: Toolchain, c: CProgram, arch: str, work: Path, log: Path) -> Path:
    compiler, packages = c_compiler(arch)
    if not shutil.which(compiler):
        raise PreflightError(f"{compiler}: not installed", next_step=f"apt-get install {packages}")
    module = fetch_module(go, c.module, work, log)
    check_sum(c.module, c.sum, module.sum)
    command: Sequence[str] = [compiler, *c.flags, "-o", str(work / c.program), c.file]
    programs.run(command, log=log, cwd=module.folder, env=go.env)
    return work / c.program


def c_compiler(arch: str) -> tuple[str, str]:
    """The C compiler for an architecture, and the Debian packages that it and its library come from."""
    if arch == host_arch():
        return "gcc", "gcc libc6-dev"
    triple = f"{MACHINE[arch]}-linux-gnu"
    # a Debian package's name takes no underscore
    return f"{triple}-gcc", f"gcc-{triple.replace('_', '-')} libc6-dev-{arch}-cross"


class _Progress:
    """Counts the packages that `go build -v` names, and says so now and then."""

    def __init__(self, name: str, say: Say) -> None:
        self.packages, self._name, self._say = 0, name, say
        self._started = self._said = time.monotonic()

    def __call__(self, line: str) -> None:
        if line.startswith("go: downloading "):
            what = "fetching modules"
        elif re.fullmatch(r"[\w.~/-]+", line):
            self.packages += 1
            what = f"compiling, {self.packages} packages done"
        else:
            return
        now = time.monotonic()
        if now - self._said >= QUIET:
            self._said = now
            self._say(f"{self._name}: {what} ({now - self._started:.0f} s)")
