"""The image store of a node: all images imported and unpacked once, then linked into every node."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lab.artifacts import programs
from lab.artifacts.images import StoredImage, is_sandbox
from lab.artifacts.store import Key, Say, Store
from lab.errors import CommandError, FailedError
from lab.local import poured
from lab.waits import NotYet, wait_for

# Written in place by containerd, so each node needs its own; all else is replaced, never rewritten.
DATABASES = (
    "io.containerd.metadata.v1.bolt/meta.db",
    "io.containerd.snapshotter.v1.overlayfs/metadata.db",
)
NAMESPACE = "k8s.io"

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
    """`images`: reference -> digest of its entry; `containerd`: sha256 of the program that imports."""
    return Key.of("containerd-root", arch, {"images": dict(images), "containerd": containerd})


def containerd_root(
    store: Store, images: Mapping[str, StoredImage], binaries: Mapping[str, Path], key: Key, *, say: Say
) -> Path:
    """A containerd root folder (overlayfs snapshots included) that holds `images`.

    The real containerd imports them, in a network namespace without any network. It must be on a plain
    filesystem: overlayfs snapshots cannot live on an overlay. Raises `FailedError` for an image whose layers
    are not what its config says, and `CommandError` with containerd's log when an import fails otherwise.
    """

    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        log = store.folder / "logs" / "containerd-root.log"
        with _containerd(binaries["containerd"], tree, log) as socket:
            ctr = [str(binaries["ctr"]), "--address", str(socket), "--namespace", NAMESPACE]
            for reference, image in sorted(images.items()):
                say(f"containerd-root: importing {reference}")
                _import(log, image, *ctr, "images", "import", "--snapshotter", "overlayfs", "-")
                if is_sandbox(reference):
                    _ctr(log, *ctr, "images", "label", reference, "io.cri-containerd.pinned=pinned")
            wait_for(
                "containerd to know every image by its id",
                lambda: _all_known(_ctr(log, *ctr, "images", "list", "--quiet").split(), images.values()),
                seconds=60,
                next_step=f"less {log}",
            )
        return {reference: image.id for reference, image in images.items()}

    store.ensure_tree(key, produce, say=say)
    return store.tree_path(key)


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


def _import(log: Path, image: StoredImage, *command: str) -> None:
    try:
        with poured(image.write_to) as tar:
            _ctr(log, *command, stdin=tar)
    except CommandError as error:
        # containerd, rootfs/apply.go: the last link of an image's chain of digests is looked at here alone
        if "wrong diff id" not in error.output:
            command_line = f"{error.command}  # {image.reference}"
            raise CommandError(
                "", command_line, error.code, error.output, next_step=error.next_step
            ) from None
        raise FailedError(
            f"{image.reference}: a layer of it unpacks to something else than its config says",
            next_step="do not use that image; PLUMBLINE_SOURCE=modules builds it here",
        ) from error


def _ctr(log: Path, *command: str, stdin: BinaryIO | None = None) -> str:
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        output = f"{programs.tail(log, 2000)}\n{done.stdout}{done.stderr}"
        raise CommandError("", " ".join(command), done.returncode, output, next_step=f"less {log}")
    return done.stdout


def _all_known(listed: list[str], images: Iterable[StoredImage]) -> None:
    """The CRI plugin adds `sha256:...` names a moment after an import; nodes look images up by them."""
    wanted = {name for image in images for name in (image.reference, f"sha256:{image.id}")}
    if missing := sorted(wanted - set(listed)):
        raise NotYet(f"{len(missing)} names are missing, the first is {missing[0]}")
