"""A host's own keys and certificates: the key is made there and stays there, the lab's CA signs the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lab.hosts.changes import HostChange, actions
from lab.hosts.held import HeldFile
from lab.render.bundle import Bundle, File
from lab.render.host_certificates import HostCertificate
from lab.ssh import Ssh

if TYPE_CHECKING:
    from lab.authority import Authority

OWNER = "root:root"
NEW = ".new"
"""Ending of a key that has no certificate yet."""


def public(wanted: Bundle) -> list[str]:
    """The files of certificates whose text is asked of a host."""
    return [path for item in wanted.certificates for path in (item.certificate, item.authority)]


def keys(wanted: Bundle) -> list[str]:
    """The keys, of which nothing is asked but whether they are there."""
    return [item.key for item in wanted.certificates]


def missing(
    wanted: Bundle, files: Mapping[str, HeldFile | None], written: Mapping[str, float | None]
) -> Iterator[HostChange]:
    """Certificates that are to be made or made anew, each with its key."""
    if wanted.authority is None:
        return
    for item in wanted.certificates:
        if why := _why(item, wanted.authority, files, written):
            sentence = f"make {item.key} and its certificate for {', '.join(item.names)}: {why}"
            commands = (("mv", "-f", f"{item.key}{NEW}", item.key), *actions(item.on_change))
            yield HostChange(sentence, commands=commands, certificate=(item, wanted.authority))


def _why(
    item: HostCertificate,
    authority: Authority,
    files: Mapping[str, HeldFile | None],
    written: Mapping[str, float | None],
) -> str:
    held, beside = files[item.certificate], files[item.authority]
    if not held or written[item.key] is None:
        return "there is none"
    if not beside or beside.content != authority.certificate:
        return f"{item.authority} is not the CA in {authority.certificate_file}"
    fault = authority.fault(held.content, item.names)
    return f"the one that is there {fault}" if fault else ""


def made(ssh: Ssh, host: str, item: HostCertificate, authority: Authority) -> list[File]:
    """Let the host make a key and ask for its certificate; the certificate's files.

    The key lies beside the one that is in use until the change's own commands put it in its place.
    """
    folder, key = shlex.quote(item.folder), shlex.quote(f"{item.key}{NEW}")
    subject = shlex.quote(f"/CN={host}")
    command = (
        f"umask 077 && mkdir -p {folder} && chmod 0755 {folder} && "
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
        f"-keyout {key} -subj {subject} 2>/dev/null"
    )
    signed = authority.sign(ssh.run(host, command), item.names)
    texts = {item.certificate: signed, item.authority: authority.certificate}
    return [File(path, text, OWNER, "0644", ()) for path, text in texts.items()]
