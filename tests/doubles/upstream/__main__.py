"""All of upstream in a network and a mount namespace of its own: `python -m tests.doubles.upstream FOLDER`.

Every program that is run inside (`nsenter --net --mount --target PID`) finds the real names on loopback,
trusts our authority as it trusts others, and reads a catalogue that pins what is published here. When all
is served, FOLDER/ready appears; at the end of its input it stops and leaves FOLDER/seen.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lab.artifacts.store import Store
from lab.catalogue.model import ROOT
from tests.doubles.upstream.servers import Upstream
from tests.doubles.upstream.whole import publish, real_names, seed

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
HOSTS = Path("/etc/hosts")


def main(folder: Path, *, bad_day: bool) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    upstream = Upstream(folder, real_names())
    store = Store()
    for path, text in publish(upstream, store).items():
        cover(path, text, folder)
    seed(store, Store(folder / "cache"))
    cover(BUNDLE, BUNDLE.read_text() + upstream.keys.certificate_file.read_text(), folder)
    cover(HOSTS, f"127.0.0.1 localhost\n{upstream.hosts()}", folder)
    if bad_day:
        upstream.day.cut = {"kubelet": [1 << 20], "/data": [1 << 16]}
        upstream.day.refuse = {"kubectl": [503], "/manifests/": [429], "/token": [500], "/data": [429]}
        upstream.day.retry_after = "1"
    with upstream:
        (folder / "ready").touch()
        sys.stdin.read()
    seen = {"transfers": upstream.day.transfers, "asked": upstream.day.asked}
    (folder / "seen.json").write_text(json.dumps(seen))


def cover(path: Path, text: str, folder: Path) -> None:
    """Put another content over a file, in this mount namespace only."""
    own = folder / (path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name)
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text)
    subprocess.run(["mount", "--bind", own, path], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), bad_day="--bad-day" in sys.argv)
