"""A disk that is full in the middle: one block, nothing half, and the next run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.upstream.publish import Publisher, config_of, small_layer
from tests.doubles.upstream.servers import Upstream

MIB = 1 << 20
# In a mount namespace of its own: a store on 6 MiB, tried; then on 40, tried again.
SCRIPT = """
mount -t tmpfs -o size=6m none "$PLUMBLINE_CACHE"
"$@" && exit 9
find "$PLUMBLINE_CACHE/work" "$PLUMBLINE_CACHE/entries" -mindepth 1 -not -name entry.json
mount -o remount,size=60m "$PLUMBLINE_CACHE"
exec "$@"
"""
FETCH = """
import json, sys
from lab.artifacts.sources.upstream import UpstreamSource
from lab.artifacts.store import Store
from lab.catalogue.catalogue import Catalogue
from lab.catalogue.model import ComponentVersion
from lab.errors import PlumblineError
try:
    selection = Catalogue.model_validate(json.loads(sys.argv[1])).everything()
    made = UpstreamSource(Store(), selection, "amd64", print).make(ComponentVersion("thing", "v1"))
    print("made", sorted(made.files))
except PlumblineError as error:
    print("error:", error)
    sys.exit(error.exit_code)
"""


def run(catalogue: str, upstream: Upstream, cache: Path) -> str:
    cache.mkdir()
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]
    trusted = {
        "SSL_CERT_FILE": str(upstream.keys.certificate_file),
        "REQUESTS_CA_BUNDLE": str(upstream.keys.certificate_file),
    }
    done = subprocess.run(
        [*command, sys.executable, "-c", FETCH, catalogue],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **trusted, "PLUMBLINE_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["image", "programs"])
def test_a_full_disk_is_said_and_the_next_run_goes_on(upstream: Upstream, tmp_path: Path, kind: str) -> None:
    content = os.urandom(8 * MIB)
    thing: dict[str, Any]
    if kind == "image":
        layer = small_layer(tmp_path, {"tool": content})
        with upstream.publishing() as address:
            publisher = Publisher(address, tmp_path / "packed")
            digest = publisher.image("some/thing", "v1", [layer], {"amd64": config_of("amd64", [layer])})
        thing = {
            "kind": "image",
            "reference": f"{upstream.host('registry')}/some/thing:v1",
            "modules": {"programs": {}, "entrypoint": []},
            "versions": {"v1": {"digest": digest}},
        }
    else:
        (upstream.folder / "files" / "tool").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        thing = {
            "kind": "programs",
            "install": {"tool": "/usr/bin"},
            "modules": "none",
            "upstream": {"file": {"url": f"https://{upstream.host('files')}/tool", "program": "tool"}},
            "versions": {"v1": {"sha256": {"file": {"amd64": sha256, "arm64": sha256}}}},
        }
    said = run(json.dumps({"components": {"thing": thing}}), upstream, tmp_path / "small")
    first, _, second = said.partition("error: ")
    assert first
    assert "thing: " in second.splitlines()[0]
    assert "the disk is full" in second.splitlines()[0]
    assert "PLUMBLINE_CACHE" in second.splitlines()[1]
    assert str(tmp_path / "small" / "work") not in second, "nothing half is left"
    assert "made ['" in second
    if kind == "programs":
        ranges = [ranged for server, path, ranged, _ in upstream.day.asked if path == "/tool"]
        assert ranges[-1].startswith("bytes="), "the next run goes on where the disk was full"
