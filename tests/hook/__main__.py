"""`python -m tests.hook`: judge what is staged; with `install`, be asked before each commit."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hook.staged import git, judge

MARK = "# Plumbline's own hook"
HOOK = f"""\
#!/bin/sh
{MARK}: what `make test-fast` runs, on what is staged (CONTRIBUTING.md). To be rid of it, delete this file.
test -e tests/hook/__main__.py || exit 0 # a branch from before it
for python in .venv/bin/python "$(git rev-parse --git-common-dir)/../.venv/bin/python"; do
  test -x "$python" && exec "$python" -m tests.hook
done
echo "error: no .venv here or in the main work tree: nothing could be checked; next: make setup" >&2
exit 1
"""
LINE = "python -m tests.hook"


def install() -> int:
    """Write the hook of this repository, for all its work trees. 3 where it would replace somebody's."""
    folder = Path(git("rev-parse", "--git-path", "hooks")).absolute()
    path = folder / "pre-commit"
    common = Path(git("rev-parse", "--git-common-dir")).absolute()
    if common.resolve() not in folder.resolve().parents:
        return _refused(f"core.hooksPath: {folder}: is not this repository's alone", path)
    if path.is_symlink() or (
        path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")
    ):
        return _refused(f"{path}: is a hook of somebody else", path)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(HOOK, encoding="utf-8")
    path.chmod(0o755)
    print(f"{path}: asked before each commit; to be rid of it: rm {path}")
    return 0


def _refused(said: str, path: Path) -> int:
    print(f"error: {said}; nothing was written\n  next: add to {path}: .venv/bin/{LINE}", file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(install() if sys.argv[1:] == ["install"] else judge())
