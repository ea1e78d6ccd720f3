"""A machine without a network: everything it needs comes from one file.

"Without a network" is a network namespace that has none, not even a loopback that is up: whoever is asked,
nobody answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.artifacts.mounts import MOUNTINFO, inside
from tests.integration.conftest import ROOT, Done

NAME = "airgap"
NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "GOPROXY", "PIP_INDEX_URL"), "http://192.0.2.1:9")
"""An address for documentation (RFC 5737), in a place without a route to any."""
INVENTORY = f"""\
lab: {NAME}
provider: lxc
disposable: true
network: {{lan: 10.1.1.0/24, gateway: 10.1.1.1}}
kubernetes: {{single_master: true}}
metallb: {{pools: [{{name: default, addresses: [10.1.1.100-10.1.1.150]}}]}}
hosts:
  haproxy: {{role: load-balancer, address: 10.1.1.50}}
  master-1: {{role: control-plane, address: 10.1.1.11}}
  worker-1: {{role: worker, address: 10.1.1.31}}
"""


@dataclass(frozen=True)
class Site:
    """A machine that was given a bundle: its store, its inventory, and no network."""

    bundle: Path
    cache: Path
    inventory: Path

    def invoke(self, *arguments: str, seconds: float = 900) -> Done:
        """One task, where nobody can be reached."""
        given = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
        done = subprocess.run(
            ["unshare", "--net", sys.executable, "-m", "invoke", *arguments],
            cwd=ROOT,
            env={**given, **NOWHERE, "PLUMBLINE_CACHE": str(self.cache), "PLUMBLINE_SOURCE": "mirror"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Done(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("airgap")
    inventory = folder / f"{NAME}.yaml"
    inventory.write_text(INVENTORY)
    made = Site(folder / "bundle.tar", folder / "cache", inventory)
    writing = [*["-m", "invoke", "artifacts.bundle", "--source", "modules", "--to"], str(made.bundle)]
    done = subprocess.run(
        [sys.executable, *writing, "-i", str(inventory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    yield made
    made.bundle.unlink()
    assert inside(made.cache, MOUNTINFO.read_text()) == []
    shutil.rmtree(made.cache)


def test_an_empty_store_says_what_is_missing_and_asks_nobody(site: Site) -> None:
    done = site.invoke("artifacts", "-i", str(site.inventory), "--fetch")
    assert done.code == 1
    assert "source mirror neither builds nor fetches" in done.output
    assert f"invoke artifacts.bundle -i {site.inventory} --from FILE" in done.output


def test_the_store_is_filled_and_complete(site: Site) -> None:
    taken = site.invoke("artifacts.bundle", "--from", str(site.bundle))
    assert taken.code == 0, taken.output
    done = site.invoke("artifacts", "-i", str(site.inventory), "--fetch")
    assert done.code == 0, done.output
    rows = json.loads(site.invoke("artifacts", "-i", str(site.inventory), "--json").output)
    assert {row["state"] for row in rows} == {"present"}
    assert {"debian", "containerd-root", "kubernetes"} <= {row["component"] for row in rows}


def test_what_it_renders_needs_nobody(site: Site) -> None:
    done = site.invoke("render", "-i", str(site.inventory))
    assert done.code == 0, done.output


@pytest.mark.long
def test_a_lab_is_built_from_it(site: Site) -> None:
    taken = site.invoke("artifacts.bundle", "--from", str(site.bundle))
    assert taken.code == 0, taken.output
    try:
        done = site.invoke("build", "-i", str(site.inventory))
        assert done.code == 0, done.output
        assert "all nodes Ready" in done.output
        checked = site.invoke("verify", "-i", str(site.inventory), "--layer", "render", "--layer", "node")
        assert checked.code == 0, checked.output
    finally:
        gone = site.invoke("destroy", "-i", str(site.inventory))
    assert gone.code == 0, gone.output


@pytest.mark.long
def test_its_wheels_are_all_that_the_python_environment_needs(site: Site, tmp_path: Path) -> None:
    """With the commands of docs/air-gap.md."""
    subprocess.run(["tar", "-xf", site.bundle, "wheels"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [str(tmp_path / "venv/bin/python"), *["-m", "pip", "install", "--quiet", "--require-hashes"]]
    install += ["--requirement", str(ROOT / "requirements.lock")]
    given = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(
        ["unshare", "--net", *install],
        env={**given, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv/bin/invoke").exists()
