"""Source `modules`: programs built from Go modules, images composed of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.artifacts.digests import DigestedFile, recipe_digest
from lab.artifacts.files import file_key, out_of_module
from lab.artifacts.images import (
    CONFIG,
    FORM,
    encode,
    image_config,
    image_files,
    layer_of_folder,
    layer_of_programs,
)
from lab.artifacts.rootfs import bootstrap, layer_key, load_recipe, package_versions
from lab.artifacts.store import Entry, Key, Produced, Say, Store, StoredFile
from lab.artifacts.toolchain import toolchain_pin
from lab.catalogue.catalogue import Selection
from lab.catalogue.model import ComponentVersion, Composition, Image, Programs, SingleFile
from lab.errors import InputError

LAYER_TAR = "layer.tar"
LAYER = ComponentVersion("debian-layer", "")
"""The layer of Debian packages under some images: not in the catalogue, and without a version of its own."""


class ModulesSource:
    """Builds everything on this machine."""

    name = "modules"

    def __init__(self, store: Store, selection: Selection, arch: str, say: Say) -> None:
        self._store, self._selection, self._arch, self._say = store, selection, arch, say
        self._keys: dict[ComponentVersion, Key] = {}

    def components(self) -> list[ComponentVersion]:
        programs = [item for item, _ in self._selection.programs()]
        images = list(self._selection.images())
        files = [item for item, _ in self._selection.files()]
        # The layer after the programs: they take longest, and by then another thread may have made it.
        layer = [LAYER] if any(image.modules and image.modules.debian for _, image in images) else []
        return [*programs, *layer, *(item for item, _ in images), *files]

    def origin(self, item: ComponentVersion) -> str:
        return "debian" if item == LAYER else self.name

    def fetched(self, _item: ComponentVersion) -> bool:
        return False

    def ready(self, item: ComponentVersion) -> bool:
        """Whether the store has a component."""
        return self._found(item) is not None

    def key(self, item: ComponentVersion) -> Key | None:
        if item == LAYER:
            return layer_key(self._arch)
        component = self._selection.components[item]
        if component.unbuilt:
            return None
        if isinstance(component, Programs):
            return self._programs_key(item, component)
        if isinstance(component, SingleFile):
            return file_key(item.name, component)
        entries = {part: self._found(part) for part in _parts(component)}
        complete = {part: entry for part, entry in entries.items() if entry}
        return self._image_key(item, component, complete) if len(complete) == len(entries) else None

    def behind(self, item: ComponentVersion) -> list[Key]:
        component = self._selection.components.get(item)
        parts = _parts(component) if isinstance(component, Image) and not component.unbuilt else []
        return [key for part in (*parts, item) if (key := self.key(part))]

    def make(self, item: ComponentVersion) -> Entry:
        if item == LAYER:
            return self._make_layer()
        component = self._selection.components[item]
        if component.unbuilt:
            raise unbuilt(item, component.unbuilt)
        if isinstance(component, SingleFile):
            return out_of_module(self._store, item.name, component, self._say)
        if isinstance(component, Image):
            return self._make_image(item, component, {part: self.make(part) for part in _parts(component)})
        return self._store.ensure(
            self._programs_key(item, component),
            lambda work: self._build(item.name, component, work),
            say=self._say,
        )

    def _found(self, item: ComponentVersion) -> Entry | None:
        key = self.key(item)
        return self._store.find(key) if key else None

    def _build(self, name: str, component: Programs, work: Path) -> Mapping[str, Path]:
        # whoever has everything builds nothing
        from lab.artifacts.compile import build

        return build(self._store, name, _recipe(component), self._arch, work, say=self._say)

    def _make_layer(self) -> Entry:
        """The Debian layer under kube-proxy and flannel (60 s, 125 MB)."""
        packages = load_recipe().layer

        def produce(work: Path) -> Mapping[str, DigestedFile]:
            self._say(f"{LAYER.name}: installing {len(packages)} packages and what they need")
            tree = work / "tree"
            seconds = bootstrap(self._store, tree, packages, self._arch, variant="essential", name=LAYER.name)
            layer = layer_of_folder(tree, work / LAYER_TAR)
            self._say(f"{LAYER.name}: {len(package_versions(tree))} packages in {seconds:.0f} s")
            return {LAYER_TAR: layer}

        return self._store.ensure(layer_key(self._arch), produce, say=self._say)

    def _make_image(
        self, item: ComponentVersion, image: Image, made: Mapping[ComponentVersion, Entry]
    ) -> Entry:
        composition = _composition(image)
        base = made[LAYER].files[LAYER_TAR] if composition.debian else None
        programs = {target: self._store.object_path(file) for target, file in _files(image, made).items()}

        def produce(work: Path) -> Produced:
            own = layer_of_programs(programs, work / LAYER_TAR)
            layers: list[DigestedFile | StoredFile] = [base, own] if base else [own]
            digests = [layer.sha256 for layer in layers]
            config = image_config(self._arch, digests, composition.entrypoint, user=composition.user)
            (work / CONFIG).write_bytes(encode(config))
            return image_files(work / CONFIG, layers)

        return self._store.ensure(self._image_key(item, image, made), produce, say=self._say)

    def _programs_key(self, item: ComponentVersion, component: Programs) -> Key:
        # asked for by every image and row that the programs are a part of
        if item not in self._keys:
            inputs = {
                "source": self.name,
                "version": component.version,
                "recipe": recipe_digest(_recipe(component)),
                "toolchain": toolchain_pin(),
            }
            self._keys[item] = Key.of(item.name, self._arch, inputs)
        return self._keys[item]

    def _image_key(self, item: ComponentVersion, image: Image, made: Mapping[ComponentVersion, Entry]) -> Key:
        composition = _composition(image)
        inputs = {
            "source": self.name,
            "form": FORM,
            "reference": image.tagged,
            "image": composition.model_dump(),
            "programs": {target: file.sha256 for target, file in _files(image, made).items()},
            "base": made[LAYER].files[LAYER_TAR].sha256 if composition.debian else "",
        }
        return Key.of(item.name, self._arch, inputs)


def unbuilt(item: ComponentVersion, reason: str) -> InputError:
    """What is said where a lab wants from this source what is not built here."""
    return InputError(
        f"{item}: source modules does not have it: {reason}",
        next_step="use --source upstream, or leave it out of the inventory",
    )


def _recipe(component: Programs) -> Path:
    if component.modules is None:
        raise TypeError(f"{component.version}: asked for the recipe of what is not built here")
    return component.modules


def _composition(image: Image) -> Composition:
    if image.modules is None:
        raise TypeError(f"{image.tagged}: asked for the composition of what is not built here")
    return image.modules


def _parts(image: Image) -> list[ComponentVersion]:
    """What an image is made of."""
    return [*image.parts, LAYER] if _composition(image).debian else list(image.parts)


def _files(image: Image, made: Mapping[ComponentVersion, Entry]) -> dict[str, StoredFile]:
    """The stored program of each path in the image."""
    files = {}
    for target, source in _composition(image).programs.items():
        owner, program = source.split("/")
        files[target] = made[ComponentVersion(owner, image.version)].files[program]
    return files
