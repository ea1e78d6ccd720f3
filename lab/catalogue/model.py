"""One version of a component: a set of programs, a container image, or a single file.

Each has one or both of two sources: `upstream` (official files or image, pinned by digest) and `modules`
(built here). Where one of them is missing, a sentence says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = ROOT / "artifacts"
"""Folder of the platform's own catalogue and recipes; those of an add-on are in its own folder."""

Arch = Literal["amd64", "arm64"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ImageDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Folder = Annotated[str, StringConstraints(pattern=r"^/")]


class ComponentVersion(NamedTuple):
    """What a lab wants: a component by its name in the catalogue, in one version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def _inside(path: str) -> str:
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError("must be a path below the folder: no leading slash, no empty, `.` or `..` part")
    return path


# Below some folder and never out of it: these paths are removed and written.
Inside = Annotated[str, AfterValidator(_inside)]


class CatalogueModel(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Digests(CatalogueModel):
    """sha256 of one file for each architecture."""

    amd64: Sha256
    arm64: Sha256

    def of(self, arch: str) -> str:
        """The one for an architecture."""
        return self.arm64 if arch == "arm64" else self.amd64


class Download(CatalogueModel):
    """One official file.

    `{version}`, `{number}` (the version without its v) and `{arch}` are filled into the URL and into the
    members. `members` maps a program to its file in the tar; else the file itself is `program`.
    """

    url: str
    program: str = ""
    members: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_form(self) -> Download:
        if bool(self.program) == bool(self.members):
            raise ValueError("give either `program` (the file itself) or `members` (files in a tar)")
        return self


class Version(CatalogueModel):
    """What all kinds have.

    `unpinned` says why there is no digest of the official file, which is then never used; `unbuilt` why it is
    not built here; `untested` why no inventory may name this version yet.
    """

    version: str
    unpinned: str = ""
    unbuilt: str = ""
    untested: str = ""

    @property
    def number(self) -> str:
        """The version without its v."""
        return self.version.removeprefix("v")

    def filled(self, text: str) -> str:
        """A text of the catalogue with `{version}` and `{number}` filled in."""
        return text.format(version=self.version, number=self.number)

    def check_sources(self, official: bool, built: bool) -> None:
        """Each source is there or it is said why not, and one of them is there. Raises `ValueError`."""
        if official and self.unpinned:
            raise ValueError("give either the digest or `unpinned` with the reason")
        if built == bool(self.unbuilt):
            raise ValueError("give either `modules` or `unbuilt` with the reason")
        if not official and not built:
            raise ValueError("is neither pinned nor built here: no source has it")


class Programs(Version):
    """A set of programs.

    `install` says which of them go to machines, and into which folder, `tools` which of them judge what is
    rendered, on this machine; `modules` is the folder of the recipe beside the catalogue's file, `sha256` the
    digests of `upstream` by the same names.
    """

    kind: Literal["programs"]
    install: dict[str, Folder] = Field(default_factory=dict)
    tools: tuple[str, ...] = ()
    upstream: dict[str, Download] = Field(default_factory=dict)
    sha256: dict[str, Digests] = Field(default_factory=dict)
    modules: Path | None = None

    @field_validator("modules", mode="before")
    @classmethod
    def _beside_the_catalogue(cls, value: str, info: ValidationInfo) -> Path:
        folder: Path = (info.context or {}).get("folder", PLATFORM)
        return folder / _inside(value.format(version=info.data.get("version", "")))

    @model_validator(mode="after")
    def _has_sources(self) -> Programs:
        if self.sha256 and self.sha256.keys() != self.upstream.keys():
            raise ValueError("`sha256` must name the files of `upstream`, each once")
        if self.upstream and not self.sha256 and not self.unpinned:
            raise ValueError("give either `sha256` or `unpinned` with the reason")
        self.check_sources(self.official, self.modules is not None)
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """The programs that are asked for by name; the others are parts of images."""
        return (*self.install, *self.tools)

    @property
    def official(self) -> bool:
        """Whether there are official files whose digests we know."""
        return bool(self.sha256)


class Composition(CatalogueModel):
    """How an image is put together from programs built here.

    `programs` maps a path in the image to COMPONENT/PROGRAM; `debian` puts the Debian layer under them.
    """

    programs: dict[Folder, str]
    entrypoint: tuple[str, ...]
    debian: bool = False
    user: str = ""


class Image(Version):
    """A container image under the reference that manifests use.

    `digest` pins the official image (its index, which names the manifest of each architecture). Its programs
    have the same version; `upstream: false` is an image of our own.
    """

    kind: Literal["image"]
    reference: str
    upstream: bool = True
    digest: ImageDigest | None = None
    modules: Composition | None = None

    @model_validator(mode="after")
    def _has_sources(self) -> Image:
        if self.upstream and not self.digest and not self.unpinned:
            raise ValueError("give either `digest` or `unpinned` with the reason")
        if self.reference.startswith("docker.io/") and self.reference.count("/") == 1:
            # containerd stores it under the long name, and everything that looks for it asks for that.
            raise ValueError("write docker.io/library/NAME: the short name is never stored")
        self.check_sources(self.official, self.modules is not None)
        return self

    @property
    def official(self) -> bool:
        """Whether there is an official image whose digest we know."""
        return bool(self.digest)

    @property
    def tagged(self) -> str:
        """The reference with its tag."""
        return self.filled(self.reference)

    @property
    def parts(self) -> tuple[ComponentVersion, ...]:
        """The sets of programs that it is composed of."""
        sources = self.modules.programs.values() if self.modules else ()
        owners = dict.fromkeys(source.split("/")[0] for source in sources)
        return tuple(ComponentVersion(owner, self.version) for owner in owners)


class SingleFile(Version):
    """One file of a project: an add-on's manifest, the schemas of an API.

    `path` is its place in the Go module `module` (without a version), `url` where the project serves it:
    the same bytes, so one digest pins both.
    """

    kind: Literal["file"]
    url: str
    sha256: Sha256
    module: str = ""
    path: Inside | None = None

    @model_validator(mode="after")
    def _has_sources(self) -> SingleFile:
        if bool(self.module) != bool(self.path):
            raise ValueError("give both `module` and `path`, or neither")
        self.check_sources(self.official, bool(self.module))
        return self

    @property
    def official(self) -> bool:
        """A file is always pinned."""
        return True

    @property
    def suffix(self) -> str:
        """The ending of its name, with the dot."""
        return ".json" if self.url.endswith(".json") else ".yaml"


AnyVersion = Programs | Image | SingleFile
