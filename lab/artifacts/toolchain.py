"""The Go toolchain: pinned, and kept apart from the Go of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import proxies
from lab.artifacts import programs
from lab.artifacts.store import Key, Say, Store
from lab.catalogue.model import PLATFORM

LOCK = PLATFORM / "toolchain.lock"
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}
"""Each architecture in the kernel's word (uname -m), which GNU and QEMU use as well."""


@dataclass(frozen=True)
class Toolchain:
    """`go` (the program) and the environment to call it with, for one target architecture."""

    go: Path
    env: Mapping[str, str]


def toolchain_pin() -> str:
    """The content of the lock file: part of the key of everything that is built."""
    return LOCK.read_text()


def go_toolchain(store: Store, arch: str, *, say: Say) -> Toolchain:
    """The pinned toolchain, installed into the store the first time (70 MB).

    Module and build caches are ours: those of the user are neither read nor filled. How modules are
    reached (GOPROXY, GONOSUMDB and the like, proxies) stays as the user set it.
    """

    def produce(tree: Path) -> Mapping[str, str]:
        say("go: installing the pinned toolchain")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        command += ["--disable-pip-version-check", "--root-user-action=ignore"]
        command += ["--require-hashes", "--requirement", str(LOCK), "--target", str(tree)]
        log = store.folder / "logs" / "go.log"
        programs.run(command, log=log, cwd=tree.parent, env={**os.environ, **proxies.settings()})
        return {"go": (tree / "go" / "VERSION").read_text().split()[0]}

    key = Key.of("go", host_arch(), {"lock": toolchain_pin()})
    store.ensure_tree(key, produce, say=say)
    root = store.tree_path(key) / "go"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GO", "CGO_"))}
    env |= {name: value for name, value in os.environ.items() if name in _HOW_MODULES_ARE_REACHED}
    env |= proxies.settings()
    env |= {
        "PATH": f"{root / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "GOROOT": str(root),
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly",
        "GOMODCACHE": str(store.folder / "go" / "mod"),
        "GOCACHE": str(store.folder / "go" / "build"),
        "GOOS": "linux",
        "GOARCH": arch,
        "CGO_ENABLED": "0",
    }
    return Toolchain(root / "bin" / "go", env)


def host_arch() -> str:
    """The architecture of this machine, in Go's and Debian's word."""
    here = os.uname().machine
    return next((arch for arch, machine in MACHINE.items() if machine == here), here)


_HOW_MODULES_ARE_REACHED = (
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GONOPROXY",
    "GOPRIVATE",
    "GOINSECURE",
    "GOAUTH",
)
