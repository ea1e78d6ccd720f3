"""The catalogue: every component of the platform, its version, and where it comes from.

`artifacts/catalogue.yaml` as frozen models. A component is a set of programs or a container image, and
has one or both of two origins: `upstream` (official files or image, pinned by digest) and `modules`
(built here).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from yaml import YAMLError

from lab.errors import InputError
from lab.own_yaml import read

RECIPES = Path(__file__).resolve().parents[2] / "artifacts"
CATALOGUE = RECIPES / "catalogue.yaml"

Arch = Literal["amd64", "arm64"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ImageDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Folder = Annotated[str, StringConstraints(pattern=r"^/")]


def _inside(path: str) -> str:
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError("must be a path below the folder: no leading slash, no empty, `.` or `..` part")
    return path


# Below some folder and never out of it: these paths are removed and written.
Inside = Annotated[str, AfterValidator(_inside)]
M = TypeVar("M", bound=BaseModel)


class Model(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Digests(Model):
    """sha256 of one file for each architecture."""

    amd64: Sha256
    arm64: Sha256

    def of(self, arch: str) -> str:
        return self.arm64 if arch == "arm64" else self.amd64


class Download(Model):
    """One official file.

    `{version}`, `{number}` (the version without its v) and `{arch}` are filled into the URL and into the
    members. `members` maps a program to its file in the tar; else the file itself is `program`.
    """

    url: str
    sha256: Digests
    program: str = ""
    members: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_form(self) -> Download:
        if bool(self.program) == bool(self.members):
            raise ValueError("give either `program` (the file itself) or `members` (files in a tar)")
        return self


class Programs(Model):
    """A set of programs.

    `install` says which of them go to machines, and into which folder; `modules` is the folder of the
    recipe below artifacts/. Where no checksum of an official file is known, `unpinned` says why, and
    source upstream refuses the set.
    """

    kind: Literal["programs"]
    version: str
    install: dict[str, Folder] = Field(default_factory=dict)
    upstream: tuple[Download, ...] = ()
    unpinned: str = ""
    modules: str


class Composition(Model):
    """How an image is put together from programs built here.

    `programs` maps a path in the image to COMPONENT/PROGRAM; `debian` puts the Debian layer under them.
    """

    programs: dict[Folder, str]
    entrypoint: tuple[str, ...]
    debian: bool = False
    user: str = ""


class Image(Model):
    """A container image under the reference that manifests use.

    `digest` pins the official image (its index, which names the manifest of each architecture). Where no
    digest is known, `unpinned` says why, and source upstream refuses the image.
    """

    kind: Literal["image"]
    version: str
    reference: str
    upstream: bool = True
    digest: ImageDigest | None = None
    unpinned: str = ""
    modules: Composition

    @model_validator(mode="after")
    def _pinned_or_said(self) -> Image:
        if self.upstream and (self.digest is None) == (not self.unpinned):
            raise ValueError("give either `digest` or `unpinned` with the reason")
        if self.reference.startswith("docker.io/") and self.reference.count("/") == 1:
            # containerd stores it under the long name, and everything that looks for it asks for that.
            raise ValueError("write docker.io/library/NAME: the short name is never stored")
        return self

    @property
    def tagged(self) -> str:
        """The reference with its tag."""
        return self.reference.format(version=self.version, number=self.version.removeprefix("v"))


Component = Annotated[Programs | Image, Field(discriminator="kind")]


class Catalogue(Model):
    """All components by name, in the order in which they are made."""

    components: dict[str, Component]

    @model_validator(mode="after")
    def _consistent(self) -> Catalogue:
        owners: dict[str, str] = {}
        references: dict[str, str] = {}
        for name, component in self.components.items():
            if isinstance(component, Image):
                if component.tagged in references:
                    other = references[component.tagged]
                    raise ValueError(f"{name}: reference {component.tagged} is also that of {other}")
                references[component.tagged] = name
                for source in component.modules.programs.values():
                    owner = self.components.get(source.split("/")[0])
                    if not isinstance(owner, Programs):
                        raise ValueError(f"{name}: {source}: no such set of programs in the catalogue")
                continue
            for program in component.install:
                if program in owners:
                    raise ValueError(f"{name}: program {program} is also in {owners[program]}")
                owners[program] = name
        return self

    def programs(self) -> Iterator[tuple[str, Programs]]:
        """The sets of programs."""
        return ((name, one) for name, one in self.components.items() if isinstance(one, Programs))

    def images(self) -> Iterator[tuple[str, Image]]:
        """The images."""
        return ((name, one) for name, one in self.components.items() if isinstance(one, Image))


@cache
def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read and check the catalogue; raises `InputError` with every problem."""
    return load_yaml(path, Catalogue)


def line_of(pin: str) -> str:
    """FILE:LINE of artifacts/ where a digest is pinned, as an editor opens it; "" if none does."""
    for path in sorted(RECIPES.glob("*.yaml")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if pin in line:
                return f"artifacts/{path.name}:{number}"
    return ""


def load_yaml(path: Path, model: type[M]) -> M:
    """Read a YAML file into a model; raises `InputError` with file, field, value and rule."""
    try:
        data = read(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", next_step=f"git checkout -- {path}") from None
    except YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}", next_step=f"edit {path}") from None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = []
        for one in error.errors():
            field = ".".join(str(part) for part in one["loc"])
            lines.append(f"{path.name}: {field}: {one['msg']} (is: {str(one['input'])[:80]})")
        raise InputError("\n".join(lines), next_step=f"edit {path}") from None
