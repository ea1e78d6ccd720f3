"""One thing that differs on a host, and how it is mended: what `plan` prints and `build` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.artifacts.images import StoredImage
from lab.render.bundle import File
from lab.render.host_certificates import HostCertificate

if TYPE_CHECKING:
    from lab.authority import Authority

INCOMING = "/var/lib/plumbline/incoming"
"""Where a program lies on the host, under its digest, until its command installs it."""


@dataclass(frozen=True)
class HostChange:
    """A sentence, a unified diff where there is one, and the means.

    `packages` are installed first; `program` (a file of the artefact store, named by its digest) is sent to
    `INCOMING` before `commands` run, and `image` is sent and imported after them. `remove` is the path of a
    file that must not be there. For a `certificate` the host makes a key, and who signs it stands beside.
    """

    sentence: str
    diff: str = ""
    file: File | None = None
    commands: tuple[tuple[str, ...], ...] = ()
    remove: str = ""
    packages: tuple[str, ...] = ()
    program: Path | None = None
    image: StoredImage | None = None
    certificate: tuple[HostCertificate, Authority] | None = None


def actions(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """systemctl's command lines for actions of a role."""
    # systemd refuses to reload a unit that does not run; it reads its files when it is started
    verbs = {"reload": "try-reload-or-restart"}
    return tuple(("systemctl", *(verbs.get(word, word) for word in name.split())) for name in names)
