"""Source `modules`: programs built from Go modules, images composed of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.artifacts import compile as compiler
from lab.artifacts.catalogue import Catalogue, Image, Programs
from lab.artifacts.images import Layer, encode, image_config, layer_of_folder, layer_of_programs, write_image
from lab.artifacts.recipes import recipe_digest
from lab.artifacts.rootfs import bootstrap, layer_key, load_recipe, package_versions
from lab.artifacts.store import Entry, Key, Say, Store, StoredFile
from lab.artifacts.toolchain import toolchain_pin

IMAGE_TAR = "image.tar"
LAYER_TAR = "layer.tar"
LAYER = "debian-layer"


class ModulesSource:
    """Builds everything on this machine."""

    name = "modules"

    def __init__(self, store: Store, catalogue: Catalogue, arch: str, say: Say) -> None:
        self._store, self._catalogue, self._arch, self._say = store, catalogue, arch, say

    def components(self) -> list[str]:
        # The layer after the programs: they take longest, and by then another thread may have made it.
        programs = [name for name, _ in self._catalogue.programs()]
        return [*programs, LAYER, *(name for name, _ in self._catalogue.images())]

    def origin(self, name: str) -> str:
        return "debian" if name == LAYER else self.name

    def fetched(self, _name: str) -> bool:
        return False

    def ready(self, name: str) -> bool:
        """Whether the store has a component."""
        return self._found(name) is not None

    def key(self, name: str) -> Key | None:
        if name == LAYER:
            return layer_key(self._arch)
        component = self._catalogue.components[name]
        if isinstance(component, Programs):
            return Key.of(name, self._arch, _inputs(component))
        entries = {part: self._found(part) for part in _parts(component)}
        complete = {part: entry for part, entry in entries.items() if entry}
        return self._image_key(name, component, complete) if len(complete) == len(entries) else None

    def behind(self, name: str) -> list[Key]:
        component = self._catalogue.components.get(name)
        parts = _parts(component) if isinstance(component, Image) else []
        return [key for part in (*parts, name) if (key := self.key(part))]

    def make(self, name: str) -> Entry:
        if name == LAYER:
            return self._make_layer()
        component = self._catalogue.components[name]
        if isinstance(component, Programs):
            return self._store.ensure(
                Key.of(name, self._arch, _inputs(component)),
                lambda work: compiler.build(self._store, component.modules, self._arch, work, say=self._say),
                say=self._say,
            )
        return self._make_image(name, component, {part: self.make(part) for part in _parts(component)})

    def _found(self, name: str) -> Entry | None:
        key = self.key(name)
        return self._store.find(key) if key else None

    def _make_layer(self) -> Entry:
        """The Debian layer under kube-proxy and flannel (60 s, 125 MB)."""
        packages = load_recipe().layer

        def produce(work: Path) -> Mapping[str, Path]:
            self._say(f"{LAYER}: installing {len(packages)} packages and what they need")
            tree = work / "tree"
            seconds = bootstrap(self._store, tree, packages, self._arch, variant="essential", name=LAYER)
            layer_of_folder(tree, work / LAYER_TAR)
            self._say(f"{LAYER}: {len(package_versions(tree))} packages in {seconds:.0f} s")
            return {LAYER_TAR: work / LAYER_TAR}

        return self._store.ensure(layer_key(self._arch), produce, say=self._say)

    def _make_image(self, name: str, image: Image, made: Mapping[str, Entry]) -> Entry:
        base = made[LAYER].files[LAYER_TAR] if image.modules.debian else None
        programs = {target: self._store.object_path(file) for target, file in _files(image, made).items()}

        def produce(work: Path) -> Mapping[str, Path]:
            layers = [layer_of_programs(programs, work / LAYER_TAR)]
            if base:
                layers.insert(0, Layer(self._store.object_path(base), base.sha256))
            digests = [layer.digest for layer in layers]
            config = image_config(self._arch, digests, image.modules.entrypoint, user=image.modules.user)
            write_image(image.tagged, encode(config), layers, work / IMAGE_TAR)
            return {IMAGE_TAR: work / IMAGE_TAR}

        return self._store.ensure(self._image_key(name, image, made), produce, say=self._say)

    def _image_key(self, name: str, image: Image, made: Mapping[str, Entry]) -> Key:
        inputs = {
            "source": self.name,
            "reference": image.tagged,
            "image": image.modules.model_dump(),
            "programs": {target: file.sha256 for target, file in _files(image, made).items()},
            "base": made[LAYER].files[LAYER_TAR].sha256 if image.modules.debian else "",
        }
        return Key.of(name, self._arch, inputs)


def _inputs(component: Programs) -> dict[str, str]:
    return {
        "source": "modules",
        "version": component.version,
        "recipe": recipe_digest(component.modules),
        "toolchain": toolchain_pin(),
    }


def _parts(image: Image) -> list[str]:
    """What an image is made of."""
    owners = {source.split("/")[0]: None for source in image.modules.programs.values()}
    return [*owners, LAYER] if image.modules.debian else list(owners)


def _files(image: Image, made: Mapping[str, Entry]) -> dict[str, StoredFile]:
    """The stored program of each path in the image."""
    files = {}
    for target, source in image.modules.programs.items():
        owner, program = source.split("/")
        files[target] = made[owner].files[program]
    return files
