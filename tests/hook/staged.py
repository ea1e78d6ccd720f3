"""A commit is judged by what is staged: its tree is written beside the repository and checked there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.hook.affected import Tree, affected

FOLDER = "plumbline-staged"
"""In the git directory of a work tree, and so gone with it."""
MANY = 10
"""Test files, from which on a second process of pytest saves more than its start costs."""


def git(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Output of git in the current folder. Raises `CalledProcessError`; git itself has said why."""
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return done.stdout.strip()


def write_tree() -> Path:
    """The files that the commit will hold, in a folder of their own; only what changed is written anew.

    The folder stays: with the same paths and times mypy's and Python's caches are good the next time. Nothing
    of the work tree is touched, whatever else lies in it. git has set GIT_INDEX_FILE, also for `commit -a`.
    """
    folder = Path(git("rev-parse", "--absolute-git-dir")) / FOLDER
    tree = folder / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    own = {**os.environ, "GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(tree)}
    git("read-tree", "--reset", "-u", git("write-tree"), environment=own)
    return tree


def changed_paths() -> tuple[str, ...]:
    """What differs from the commit before: files that went too, moved ones by both names."""
    listed = git("diff", "--cached", "--name-only", "--no-renames", "-z")
    return tuple(path for path in listed.split("\0") if path)


def steps(tree: Path, changed: Iterable[str]) -> dict[str, list[str]]:
    """The commands that `make test-fast` runs, as far as the changed paths need them, by their names."""
    paths = list(changed)
    tests = affected(Tree(tree), paths)
    python = [path for path in paths if path.endswith(".py") and (tree / path).is_file()]
    if "pyproject.toml" in paths:
        python = ["."]
    found: dict[str, list[str]] = {}
    if python:
        found["ruff check"] = ["ruff", "check", "--quiet", "--force-exclude", *python]
        found["ruff format"] = ["ruff", "format", "--check", "--quiet", "--force-exclude", *python]
    if any(not path.endswith(".md") for path in paths):
        found["mypy"] = ["mypy", "--no-error-summary"]
    if tests:
        several = ["-n", "2"] if len(tests) > MANY or tests[0] == "tests/unit" else []
        found["pytest"] = ["pytest", "--quiet", "--no-header", *several, *tests]
    return found


def judge() -> int:
    """Run them against what is staged, the slow ones last; 1 as soon as one fails, and what it said."""
    tree, programs = write_tree(), Path(sys.executable).parent
    # a git of the tests must not take the repository of the commit for its own
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for name, (program, *arguments) in steps(tree, changed_paths()).items():
        begun = time.monotonic()
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=tree,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        verdict = "failed" if done.returncode else "ok"
        print(f"{name:<12} {verdict}, {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
        if done.returncode:
            print(
                f"{done.stdout}\nerror: {name}: the commit is not made; it was judged by what is staged\n"
                "  next: mend it, git add, commit again (git commit --no-verify asks nobody)",
                file=sys.stderr,
            )
            return 1
    return 0
