"""The root filesystem of lab machines: Debian from its archive, as a read-only folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from glob import glob
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab import proxies
from lab.artifacts import apt, programs
from lab.artifacts.store import Key, Say, Store
from lab.catalogue.model import PLATFORM, Inside
from lab.errors import FailedError, PreflightError
from lab.own_yaml import load

# Debian tools write "now" into a few files; with this they write the day v1.31.0 was released.
EPOCH = "1723507200"
# Raised when the same recipe would now give another tree.
REVISION = 2
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class RootfsRecipe(BaseModel):
    """artifacts/rootfs/recipe.yaml; patterns in `remove` are relative to the root of the tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    machine: tuple[str, ...]
    layer: tuple[str, ...]
    exclude: tuple[str, ...]
    remove: tuple[Inside, ...]
    disable: tuple[str, ...]
    enable: tuple[str, ...]


def load_recipe() -> RootfsRecipe:
    """Read the recipe; raises `InputError` naming the field."""
    return load(PLATFORM / "rootfs" / "recipe.yaml", RootfsRecipe)


def debian_key(packages: Iterable[str], arch: str) -> Key:
    """What the machine tree depends on.

    The state of the archive is not part of it: a tree is made once, its package versions are kept with
    it, and only a changed list makes another.
    """
    recipe = load_recipe()
    wanted = sorted({*recipe.machine, *packages})
    inputs = {"recipe": recipe.model_dump(), "packages": wanted, "files": _overlaid(), "revision": REVISION}
    return Key.of("debian", arch, inputs)


def layer_key(arch: str) -> Key:
    """What the Debian layer under images depends on; the state of the archive is no part of it either."""
    recipe = load_recipe().model_dump(include={"suite", "layer", "exclude", "remove"})
    return Key.of("debian-layer", arch, {"recipe": recipe})


def debian_tree(store: Store, packages: Iterable[str], arch: str, *, say: Say) -> Path:
    """The root filesystem with our base list and `packages`; about 90 s when it is made anew.

    No unit that a role decides about is enabled, no host key or machine id is in it, and cloud-init reads
    its seed folder only. Notes of the entry: package -> version. Raises `PreflightError` without
    mmdebstrap, `CommandError` when the archive cannot be reached or lacks a package.
    """
    wanted = sorted({*load_recipe().machine, *packages})

    def produce(tree: Path) -> Mapping[str, str]:
        say(f"debian: installing {len(wanted)} packages and what they need")
        seconds = bootstrap(store, tree, wanted, arch, variant="minbase", name="debian")
        for source in sorted((PLATFORM / "rootfs" / "files").rglob("*")):
            if source.is_file():
                target = tree / source.relative_to(PLATFORM / "rootfs" / "files")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                shutil.copyfile(source, target)
        _set_units(tree, load_recipe())
        versions = package_versions(tree)
        say(f"debian: {len(versions)} packages in {seconds:.0f} s")
        return versions

    key = debian_key(packages, arch)
    store.ensure_tree(key, produce, say=say)
    return store.tree_path(key)


def bootstrap(
    store: Store, tree: Path, packages: Sequence[str], arch: str, *, variant: str, name: str
) -> float:
    """Make a Debian tree and clean it; gives back the seconds it took."""
    recipe = load_recipe()
    if os.geteuid():
        raise PreflightError(
            f"{name}: a root filesystem has files of many owners, which only root may make",
            next_step="run the same command as root, for instance with sudo",
        )
    if not shutil.which("mmdebstrap"):
        raise PreflightError("mmdebstrap: not installed", next_step="apt-get install mmdebstrap")
    lines = apt.sources(recipe.suite)
    if not lines and not KEYRING.exists():
        raise PreflightError(
            f"{KEYRING}: missing, so nothing from Debian's archive can be trusted",
            next_step="apt-get install debian-archive-keyring gpg",
        )
    command = [
        "mmdebstrap",
        "--mode=root",
        f"--variant={variant}",
        f"--architectures={arch}",
        "--skip=check/qemu",  # would need arch-test; whoever asks for another architecture has looked
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.exclude),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *(f"--aptopt={option}" for option in apt.proxy_options()),
        # with lines of this machine's own, the keys that it trusts
        *(() if lines else (f"--keyring={KEYRING}",)),
        recipe.suite,
        str(tree),
        *lines,
    ]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SOURCE_DATE_EPOCH": EPOCH, "LC_ALL": "C.UTF-8"}
    env |= proxies.apt_settings()
    log = store.folder / "logs" / f"{name}-{arch}.log"
    seconds = programs.run(command, log=log, cwd=tree.parent, env=env, apart=True)
    _clean(tree, recipe)
    return seconds


def package_versions(tree: Path) -> dict[str, str]:
    """Installed packages of a Debian tree and their versions."""
    versions = {}
    for paragraph in (tree / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " "
        )
        if "Package" in fields:
            versions[fields["Package"]] = fields["Version"]
    return versions


def _clean(tree: Path, recipe: RootfsRecipe) -> None:
    """Remove what the recipe names, and nothing outside the tree.

    A link in the tree may point out of it (/var/lock to /run/lock), and a pattern would follow it.
    """
    root = tree.resolve(strict=True)
    for pattern in recipe.remove:
        # Path.glob passes over a link whose target is not on this machine; this glob does not.
        for path in [root / name for name in glob(pattern, root_dir=root)]:  # noqa: PTH207
            if not path.parent.resolve(strict=True).is_relative_to(root):
                raise FailedError(
                    f"rootfs: remove: {pattern} leads out of the tree, to {path.parent.resolve()}",
                    next_step="correct artifacts/rootfs/recipe.yaml",
                )
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _set_units(tree: Path, recipe: RootfsRecipe) -> None:
    """Decide which units start at boot, as `systemctl enable` and `disable` would."""
    units = tree / "etc/systemd/system"
    for unit in recipe.disable:
        # Seen from this machine the links dangle, so asking whether they exist would say no.
        for folder in units.glob("*.wants"):
            if (folder / unit).is_symlink():
                (folder / unit).unlink()
    for unit in recipe.enable:
        (units / "multi-user.target.wants" / unit).symlink_to(f"/lib/systemd/system/{unit}")


def _overlaid() -> dict[str, str]:
    """Digest of each file that we put over the tree."""
    folder = PLATFORM / "rootfs" / "files"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
