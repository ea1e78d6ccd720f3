"""Public SSH keys: one line each, whole, and never a private one."""

from __future__ import annotations

import binascii
import struct

from lab.inventory.problems import Unfit

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
"""What OpenSSH 9.2 of Debian 12 takes by default; ssh-dss is off since OpenSSH 7.0."""
_EXAMPLE = "paste one line of ~/.ssh/id_ed25519.pub"


def check_key(text: str) -> str:
    """One line of an authorized_keys file, without white space around it.

    Raises `Unfit` for a private key, an empty or broken line, an unknown type, and a body that is cut (its
    own lengths, RFC 4253 section 6.6, do not add up): sshd would skip such a line without a word.
    """
    line = text.strip()
    if "PRIVATE KEY" in line:
        raise Unfit("is a private key, which must never leave its owner", _EXAMPLE, secret=True)
    if not line:
        raise Unfit("is empty", _EXAMPLE + ", or leave the item out")
    if not line.isprintable():
        raise Unfit("is broken over several lines, or holds a control character", "write the key on one line")
    kind, _, rest = line.partition(" ")
    body, _, _ = rest.strip().partition(" ")
    if kind not in TYPES:
        raise Unfit(f"does not begin with a key type ({', '.join(TYPES[:3])}, ...)", _EXAMPLE)
    try:
        raw = binascii.a2b_base64(body.encode(), strict_mode=True)
    except binascii.Error:
        raise Unfit("the key's body is not whole base64: it is cut, or broken by a space", _EXAMPLE) from None
    fields = _fields(raw)
    if not fields or fields[0] != kind.encode():
        raise Unfit(f"the key's body is cut, or is not of the type {kind}", _EXAMPLE)
    return line


def _fields(raw: bytes) -> list[bytes]:
    """The length-prefixed fields of a key's body; none when they do not add up."""
    fields: list[bytes] = []
    while len(raw) >= 4:
        (size,) = struct.unpack_from(">I", raw)
        fields.append(raw[4 : 4 + size])
        if len(fields[-1]) != size:
            return []
        raw = raw[4 + size :]
    return fields if not raw and len(fields) > 1 else []
