"""What is fetched is fetched by the user's proxy: official files, Go modules, wheels, Debian packages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.artifacts.store import cache_folder

from .recorder import recorder

ROOT = Path(__file__).parents[3]
TOOL = b"#!/bin/true\n"
FILE = f"""
from lab.artifacts.sources.upstream import UpstreamSource
from lab.artifacts.store import Store
from lab.catalogue.catalogue import Catalogue
from lab.catalogue.model import ComponentVersion
digests = dict.fromkeys(("amd64", "arm64"), "{hashlib.sha256(TOOL).hexdigest()}")
tool = {{"kind": "programs", "install": {{"tool": "/bin"}}, "modules": "none",
         "upstream": {{"file": {{"url": "http://files.example/tool", "program": "tool"}}}},
         "versions": {{"v1": {{"sha256": {{"file": digests}}}}}}}}
selection = Catalogue.model_validate({{"components": {{"tool": tool}}}}).everything()
store = Store()
made = UpstreamSource(store, selection, "amd64", print).make(ComponentVersion("tool", "v1"))
assert store.paths(made)["tool"].read_bytes() == {TOOL!r}
"""
IMAGE = """
import os
from pathlib import Path
from lab.artifacts.sources.registry import Pull
own = Path(os.environ["OWN"])
(own / "work").mkdir()
place = ("thing", "registry.example/thing:v1", "sha256:" + "0" * 64, "amd64")
Pull(*place, {}, own / "work", own / "log", print).files()
"""
MODULE = """
import os
from pathlib import Path
from lab.artifacts.compile import fetch_module
from lab.artifacts.store import Store
from lab.artifacts.toolchain import Toolchain, go_toolchain, host_arch
own = Path(os.environ["OWN"])
go = go_toolchain(Store(), host_arch(), say=print)
go = Toolchain(go.go, {**go.env, "GOMODCACHE": str(own / "mod"), "GOCACHE": str(own / "build")})
fetch_module(go, "example.test/thing@v1.0.0", own, own / "log")
"""
WHEEL = """
from lab.artifacts.store import Store
from lab.artifacts.toolchain import go_toolchain
go_toolchain(Store(), "amd64", say=print)
"""
DEBIAN = """
from lab.artifacts import apt
from lab.artifacts.rootfs import bootstrap
from lab.artifacts.store import Store
apt.sources = lambda suite: [f"deb http://archive.example/debian {suite} main"]
apt.proxy_options = lambda: ["Acquire::Retries \\"0\\""]
store = Store()
bootstrap(store, store.folder / "work" / "tree", ["hostname"], "amd64", variant="essential", name="try")
"""


def run(program: str, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """A process of the harness as a user's shell starts it; nothing in it can resolve a name."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment = {**kept, "PIP_RETRIES": "0", "PIP_INDEX_URL": "https://wheels.example/simple", **given}
    environment |= {"PLUMBLINE_CACHE": str(folder / "cache"), "OWN": str(folder)} | given
    environment.pop("PIP_FIND_LINKS", None)
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_an_official_file(name: str, tmp_path: Path) -> None:
    with recorder(files={"http://files.example/tool": TOOL}) as proxy:
        done = run(FILE, tmp_path, **{name: f"http://{proxy.place}"})
    assert done.returncode == 0, done.stderr
    assert proxy.asked == ["GET http://files.example/tool"]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_go_module(name: str, tmp_path: Path) -> None:
    given = {"PLUMBLINE_CACHE": str(cache_folder()), "GOPROXY": "http://modules.example"}
    with recorder() as proxy:
        done = run(MODULE, tmp_path, **given, **{name: f"http://{proxy.place}"})
    assert "502 not handed on" in done.stderr
    assert proxy.asked == ["GET http://modules.example/example.test/thing/@v/v1.0.0.info"]


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_the_wheel_of_the_compiler(name: str, tmp_path: Path) -> None:
    with recorder() as proxy:
        done = run(WHEEL, tmp_path, **{name: f"http://{proxy.place}"})
    assert "CommandError" in done.stderr
    assert set(proxy.asked) == {"CONNECT wheels.example:443"}


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_debian_packages(name: str, tmp_path: Path) -> None:
    with recorder() as proxy:
        done = run(DEBIAN, tmp_path, **{name: f"http://{proxy.place}"})
    assert "502" in done.stderr
    assert proxy.asked
    assert {asked.split("/")[2] for asked in proxy.asked} == {"archive.example"}


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_an_image(name: str, tmp_path: Path) -> None:
    with recorder() as proxy:
        done = run(IMAGE, tmp_path, **{name: f"http://{proxy.place}"})
    assert "FailedError" in done.stderr
    assert set(proxy.asked) == {"CONNECT registry.example:443"}


def test_who_is_named_in_no_proxy_is_asked_directly(tmp_path: Path) -> None:
    with recorder() as proxy:
        done = run(FILE, tmp_path, HTTP_PROXY=f"http://{proxy.place}", NO_PROXY="files.example")
    assert done.returncode
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("program", "cache"), [(MODULE, str(cache_folder())), (DEBIAN, ""), (WHEEL, ""), (FILE, ""), (IMAGE, "")]
)
def test_a_socks_proxy(program: str, cache: str, tmp_path: Path) -> None:
    given = {"PLUMBLINE_CACHE": cache} if cache else {}
    with recorder() as proxy:
        done = run(
            program, tmp_path, ALL_PROXY=f"socks5://{proxy.place}", GOPROXY="http://modules.example", **given
        )
    last = done.stderr.strip().splitlines()
    assert any(line.startswith(("lab.errors.CommandError", "lab.errors.FailedError")) for line in last)
    assert set(proxy.asked) == {"socks"}
