"""A real registry as a process: Debian's `docker-registry`."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.waits import NotYet, wait_for
from tests.soon import SOON

REGISTRY = "docker-registry"


@contextmanager
def running(storage: Path, port: int, more: dict[str, object]) -> Iterator[None]:
    """Debian's registry on loopback."""
    assert shutil.which(REGISTRY), f"apt-get install {REGISTRY}"
    storage.mkdir(parents=True, exist_ok=True)
    config = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of a test"},
        **more,
    }
    file = storage.parent / f"registry-{port}.yaml"
    file.write_text(json.dumps(config))
    with (
        file.with_suffix(".log").open("w") as log,
        subprocess.Popen([REGISTRY, "serve", str(file)], stdout=log, stderr=log) as process,
    ):

        def answering() -> None:
            if process.poll() is not None:
                raise AssertionError(file.with_suffix(".log").read_text())
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError as error:
                raise NotYet(str(error)) from None

        try:
            wait_for("the registry to answer", answering, seconds=SOON, interval=0.05)
            yield
        finally:
            process.terminate()
