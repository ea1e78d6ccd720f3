"""Where an inventory's Proxmox VE is, and what machines are made of there. Secrets have no place here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from lab.inventory.problems import Unfit
from lab.inventory.sections import Model
from lab.inventory.types import Port, Server, Switch, System, Url

_DIGITS = {"sha256": 64, "sha512": 128}


def _fits(pattern: str, rule: str, fix: str, *, secret: bool = False) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise Unfit(rule, fix, secret=secret)
        return text

    return AfterValidator(check)


Text = Annotated[str, Strict()]
Token = Annotated[
    Text,
    _fits(
        r"[^\s:/!@]+@[A-Za-z][\w.-]+![A-Za-z][\w.-]+",
        "is not the name of an API token",
        "write it as plumbline@pve!build; its secret does not belong into a file of the project",
        secret=True,  # who writes more than the name writes the secret behind it
    ),
]
StorageName = Annotated[
    Text, _fits(r"[A-Za-z][\w.-]*[A-Za-z0-9]", "is not the name of a storage", "write it as local-lvm")
]
Pool = Annotated[Text, _fits(r"[\w.-]+", "is not the name of a pool", "write it as plumbline")]
Fingerprint = Annotated[
    Text,
    _fits(
        r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}",
        "is not a SHA-256 fingerprint of 32 pairs with colons",
        "copy what `pvenode cert info` prints on the node",
    ),
]
Folder = Annotated[
    Text,
    _fits(
        r"([\w.-]+@[\w.{}-]+:)?/[\w./{}-]+",
        "is neither a folder of this machine nor USER@HOST:/FOLDER",
        "write it as root@pve-1:/var/lib/vz/snippets",
    ),
]
Checksum = Annotated[
    Text,
    _fits(
        "|".join(f"{name}:[0-9a-f]{{{digits}}}" for name, digits in _DIGITS.items()),
        "is not sha256: or sha512: with its digits in lower case",
        "copy it from SHA256SUMS or SHA512SUMS beside the image",
    ),
]


class CloudImage(Model):
    """A cloud image."""

    url: Url = Field(description="Where the hypervisor fetches it; a dated address, whose content stays.")
    checksum: Checksum = Field(description="sha256:... or sha512:... of the file.")


class Snippets(Model):
    """Where vendor data goes: the API has no call that writes snippets."""

    storage: StorageName = Field("local", description="Storage with content type snippets.")
    folder: Folder = Field(
        "/var/lib/vz/snippets",
        description="Its folder as seen from here: a mounted path, or USER@HOST:/FOLDER for SSH; "
        "{node} stands for the hypervisor node.",
    )


class Proxmox(Model):
    """The Proxmox VE, 8 or 9, that carries the hypervisors' machines."""

    host: Server = Field(description="Name or address of a node of the cluster.")
    port: Port = Field(8006, description="Port of its API.")
    token: Token = Field(
        description="API token, USER@REALM!NAME; its secret comes from the environment.",
        examples=["plumbline@pve!build"],
    )
    ca_file: Text | None = Field(None, description="The cluster's authority, a copy of pve-root-ca.pem.")
    fingerprint: Fingerprint | None = Field(
        None, description="The server's certificate, instead of an authority."
    )
    storage: StorageName = Field("local-lvm", description="Storage of the machines' disks.")
    image_storage: StorageName = Field("local", description="Storage with content type import.")
    snippets: Snippets = Snippets()
    images: Mapping[System, CloudImage] = Field(
        default_factory=dict, description="Cloud image of each operating system."
    )
    clone: Literal["linked", "full"] = Field(
        "linked", description="Whether a machine's disk builds on its template's, or is a copy of it."
    )
    pool: Pool | None = Field(None, description="Pool of the machines; it exists already.")
    ha: Switch = Field(False, description="Have the cluster start machines elsewhere when a node dies.")

    def __str__(self) -> str:
        """What a note of a rehearsal calls it."""
        return str(self.host)


SECTION = Proxmox
