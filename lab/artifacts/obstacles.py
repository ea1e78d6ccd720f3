"""What stands in the way of a store, in words: a full disk, a folder where a file belongs, a folder that is
read-only or belongs to another user."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import FailedError, PreflightError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_OF_ANOTHER_KIND = {
    errno.EISDIR: "is a folder, and a file belongs there",
    errno.ENOTDIR: "is a file, and a folder belongs there",
    errno.EEXIST: "is a file, and a folder belongs there",
}


@contextmanager
def told(name: str, store: Path) -> Iterator[None]:
    """Raise one of ours for an error of the system while an artefact is made, and let any other go on.

    Raises `FailedError` for a full disk and for something of another kind in the store, `PreflightError` for
    a store in which nothing may be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            free = shutil.disk_usage(store).free >> 20
            raise FailedError(
                f"{name}: {store}: the disk is full ({free} MiB are free)",
                next_step="df -h; free some space, or PLUMBLINE_CACHE=/another/folder",
            ) from None
        path = Path(str(error.filename2 or error.filename or ""))
        # a store that is read-only is so all over; who may write where in his own work is his affair
        if (error.errno in _REFUSED and _ours(path, store)) or (
            error.errno == errno.EROFS and store in path.parents
        ):
            raise unusable(store, f"{error.strerror} ({path})") from None
        if error.errno not in _OF_ANOTHER_KIND or not _ours(path, store):
            raise
        raise FailedError(
            f"{name}: {path}: {_OF_ANOTHER_KIND[error.errno]}",
            next_step=f"mv {path} to another place, then the same command again",
        ) from None


def unusable(store: Path, why: str) -> PreflightError:
    """The error of a folder in which no artefacts can be kept."""
    return PreflightError(
        f"{store}: no artefacts can be kept there: {why}",
        next_step="PLUMBLINE_CACHE=/another/folder, or mend this one",
    )


def _ours(path: Path, store: Path) -> bool:
    """Whether a path is one that the store itself makes, and not one of the work of whoever fills it."""
    return store in path.parents and store / "work" not in path.parent.parents
