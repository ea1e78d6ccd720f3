"""Source upstream: official files, from a server on loopback."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import Any

import pytest

from lab.artifacts.sources import upstream
from lab.artifacts.sources.upstream import UpstreamSource, answers
from lab.artifacts.store import Store
from lab.catalogue.catalogue import Catalogue, Selection
from lab.catalogue.model import ComponentVersion
from lab.errors import FailedError
from tests.soon import SOON

from .conftest import Site


def quiet(_line: str) -> None:
    pass


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


TOOL = ComponentVersion("tool", "v1.2.3")
THING = ComponentVersion("thing", "v1")


def selection(components: dict[str, Any]) -> Selection:
    return Catalogue.model_validate({"components": components}).everything()


def source(store: Store, components: dict[str, Any], arch: str = "amd64") -> UpstreamSource:
    return UpstreamSource(store, selection(components), arch, quiet)


def programs(download: dict[str, Any], install: list[str]) -> dict[str, Any]:
    """A set of programs in one file, whose `sha256` stands with the version."""
    return {
        "kind": "programs",
        "install": dict.fromkeys(install, "/usr/local/bin"),
        "upstream": {"file": {key: value for key, value in download.items() if key != "sha256"}},
        "modules": "none",
        "versions": {"v1.2.3": {"sha256": {"file": download["sha256"]}}},
    }


def test_a_file_is_a_program(site: Site, store: Store) -> None:
    sha256 = site.put("/v1.2.3/arm64/tool", b"#!tool")
    url = f"{site.url}/{{version}}/{{arch}}/tool"
    download = {"url": url, "program": "tool", "sha256": {"amd64": "0" * 64, "arm64": sha256}}
    made = source(store, {"tool": programs(download, ["tool"])}, "arm64").make(TOOL)
    path = store.paths(made)["tool"]
    assert path.read_bytes() == b"#!tool"
    assert path.stat().st_mode & 0o777 == 0o755
    assert [one for one in (store.folder / "downloads").iterdir() if one.suffix != ".lock"] == []


def test_single_members_of_a_tar_are_programs(site: Site, store: Store) -> None:
    packed = gzip.compress(tar_of({"./bin/one": b"1", "./bin/two": b"2", "./bin/three": b"3"}))
    sha256 = site.put("/tool-1.2.3.tgz", packed)
    download = {
        "url": f"{site.url}/tool-{{number}}.tgz",
        "members": {"one": "bin/one", "zwei": "bin/two"},
        "sha256": {"amd64": sha256, "arm64": "0" * 64},
    }
    origin = source(store, {"tool": programs(download, ["one", "zwei"])})
    paths = store.paths(origin.make(TOOL))
    assert {name: path.read_bytes() for name, path in paths.items()} == {"one": b"1", "zwei": b"2"}
    (site.folder / "tool-1.2.3.tgz").unlink()
    assert store.paths(origin.make(TOOL)) == paths


def test_a_member_that_is_not_there_is_named(site: Site, store: Store) -> None:
    sha256 = site.put("/tool.tar", tar_of({"bin/one": b"1"}))
    download = {
        "url": f"{site.url}/tool.tar",
        "members": {"one": "bin/uno"},
        "sha256": {"amd64": sha256, "arm64": sha256},
    }
    origin = source(store, {"tool": programs(download, ["one"])})
    with pytest.raises(FailedError, match=r"tool\.tar: no file bin/uno in it"):
        origin.make(TOOL)
    key = origin.key(TOOL)
    assert key
    assert store.find(key) is None


def test_upstream_answers_or_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "PATIENCE", SOON)
    site.put("/tool", b"tool")
    good = {"url": f"{site.url}/tool", "program": "tool", "sha256": {"amd64": "0" * 64, "arm64": "0" * 64}}
    gone = {**good, "url": "http://127.0.0.1:1/tool"}
    for download, expected in ((good, True), (gone, False)):
        assert answers(selection({"tool": programs(download, ["tool"])}), "amd64") is expected
