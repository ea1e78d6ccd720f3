"""The image store of a node: all images imported and unpacked once, then linked into every node."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.artifacts import programs
from lab.artifacts.digests import file_digest
from lab.artifacts.images import image_id
from lab.artifacts.store import Key, Say, Store
from lab.errors import CommandError, FailedError
from lab.waits import NotYet, wait_for

# Written in place by containerd, so a clone needs its own; everything else is replaced, never rewritten.
DATABASES = (
    "io.containerd.metadata.v1.bolt/meta.db",
    "io.containerd.snapshotter.v1.overlayfs/metadata.db",
)
NAMESPACE = "k8s.io"
PINNED = "registry.k8s.io/pause"

_CONFIG = """\
version = 2
root = "{root}"
state = "{scratch}/state"
[grpc]
  address = "{scratch}/sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{scratch}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{scratch}/cni/bin"
  conf_dir = "{scratch}/cni/net.d"
"""


def containerd_root_key(images: Mapping[str, str], containerd: str, arch: str) -> Key:
    """`images`: reference -> sha256 of its tar; `containerd`: sha256 of the program that imports."""
    return Key.of("containerd-root", arch, {"images": dict(images), "containerd": containerd})


def containerd_root(
    store: Store, images: Mapping[str, Path], binaries: Mapping[str, Path], key: Key, *, say: Say
) -> Path:
    """A containerd root folder (overlayfs snapshots included) that holds `images`.

    The real containerd imports them, in a network namespace without any network. It must be on a plain
    filesystem: overlayfs snapshots cannot live on an overlay. Raises `CommandError` with containerd's
    log when an import fails.
    """

    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        log = store.folder / "logs" / "containerd-root.log"
        with _containerd(binaries["containerd"], tree, log) as socket:
            ctr = [str(binaries["ctr"]), "--address", str(socket), "--namespace", NAMESPACE]
            for reference, tar in sorted(images.items()):
                say(f"containerd-root: importing {reference}")
                _ctr(log, *ctr, "images", "import", "--snapshotter", "overlayfs", str(tar))
                if reference.startswith(f"{PINNED}:"):
                    _ctr(log, *ctr, "images", "label", reference, "io.cri-containerd.pinned=pinned")
            wait_for(
                "containerd to know every image by its id",
                lambda: _all_known(_ctr(log, *ctr, "images", "list", "--quiet").split(), images),
                seconds=60,
                next_step=f"less {log}",
            )
        return {reference: file_digest(tar) for reference, tar in images.items()}

    store.ensure_tree(key, produce, say=say)
    return store.tree_path(key)


def clone_containerd_root(source: Path, target: Path) -> None:
    """Give a node its containerd root: hard links of `source`, real copies of its two databases.

    0.15 s and 1 MB a node. `target` must not exist; source and target are on one filesystem.
    """
    if target.exists():
        raise FailedError(f"{target}: is there already", next_step="destroy the machine first")
    done = subprocess.run(
        ["cp", "-al", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        shutil.rmtree(target, ignore_errors=True)
        raise CommandError("", f"cp -al {source} {target}", done.returncode, done.stderr)
    for name in DATABASES:
        own = target / f"{name}.own"
        shutil.copy2(source / name, own)
        own.rename(target / name)


@contextmanager
def _containerd(program: Path, root: Path, log: Path) -> Iterator[Path]:
    """Run containerd on a root folder; gives its socket, and stops it properly at the end."""
    # Not in the work folder: the path of a socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="plumbline-") as scratch:
        config = Path(scratch) / "config.toml"
        config.write_text(_CONFIG.format(root=root, scratch=scratch))
        socket = Path(scratch) / "sock"
        apart = [*programs.WITH_PARENT, "unshare", "--net", "--mount"]
        with log.open("w") as out:
            process = subprocess.Popen(
                [*apart, str(program), "--config", str(config)], stdout=out, stderr=out, cwd=scratch
            )
            try:
                wait_for(
                    "containerd to answer",
                    lambda: _answering(process, socket, log),
                    seconds=60,
                    interval=0.05,
                )
                yield socket
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _answering(process: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    if process.poll() is not None:
        raise CommandError("", "containerd", process.returncode, programs.tail(log))
    if not socket.exists():
        raise NotYet("no socket yet")


def _ctr(log: Path, *command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        output = f"{programs.tail(log, 2000)}\n{done.stdout}{done.stderr}"
        raise CommandError("", " ".join(command), done.returncode, output, next_step=f"less {log}")
    return done.stdout


def _all_known(listed: list[str], images: Mapping[str, Path]) -> None:
    """The CRI plugin adds `sha256:...` names a moment after an import; nodes look images up by them."""
    wanted = {*images, *(f"sha256:{image_id(tar)}" for tar in images.values())}
    if missing := sorted(wanted - set(listed)):
        raise NotYet(f"{len(missing)} names are missing, the first is {missing[0]}")
