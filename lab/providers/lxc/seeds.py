"""What volumes start from, where hard links can reach it: the store's own folder, or the lab's copy of it.

No hard link leads from one file system to another. A lab whose folder is not on the store's (a /var or a
/home of its own) has one copy, and all its machines link to that.
"""

from __future__ import annotations

import threading
from pathlib import Path

from lab.local import run

SEEDS = "seeds"
_SECONDS = 600.0  # some GB from one file system to the other
_MAKING = threading.Lock()


def within_reach(seed: Path, home: Path) -> Path:
    """The folder with the content of `seed` on the file system of the lab's folder `home`.

    A copy is there whole or not at all, and one of an earlier store goes: machines keep what they link to.
    """
    if seed.stat().st_dev == home.stat().st_dev:
        return seed
    copy = home / SEEDS / seed.name
    with _MAKING:
        if not copy.is_dir():
            remove(home)
            copy.parent.mkdir(mode=0o700)
            half = copy.with_name(f".{seed.name}")
            run(["cp", "--archive", "--", str(seed), str(half)], timeout=_SECONDS)
            half.rename(copy)
    return copy


def remove(home: Path) -> None:
    """Remove the lab's copies; none is fine."""
    if (home / SEEDS).is_dir():
        run(["rm", "-rf", "--one-file-system", "--", str(home / SEEDS)], timeout=_SECONDS)
