"""Traefik's time-outs and paths: what it is started with, and what is said of a replica that was not."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from addons.traefik.client import Traefik, entries
from addons.traefik.defects import defects
from lab.addons import addons
from lab.checks.driver import Driver
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.objects import Object
from lab.render.addons import objects
from lab.render.bundle import pins
from lab.selftest.defect import Breakage
from tests.fakes import FakeProvider
from tests.world import INVENTORY, MANIFESTS, inventory

TRAEFIK = next(item for item in addons() if item.name == "traefik")
PLAIN = "ingress: {address: 10.1.1.100}"
TIMES = "transport.respondingtimeouts"


def lab(fields: str = "") -> Inventory:
    assert PLAIN in INVENTORY
    return inventory(INVENTORY.replace(PLAIN, f"ingress: {{address: 10.1.1.100{fields}}}"))


def container(found: Inventory) -> dict[str, Any]:
    """Traefik's, as it is rendered."""
    [item] = [item for item in objects(found, TRAEFIK, MANIFESTS) if item["kind"] == "Deployment"]
    [one] = item["spec"]["template"]["spec"]["containers"]
    assert isinstance(one, dict)
    return one


def pod(found: Inventory) -> Object:
    return {
        "metadata": {"name": "traefik-1"},
        "spec": {"nodeName": "worker-1", "containers": [container(found)]},
    }


def client(tmp_path: Path, found: Inventory) -> Traefik:
    made = Lab(found, tmp_path, FakeProvider())
    return Traefik(Driver(made, tmp_path, pins(found)))


@pytest.mark.parametrize("entry", ["web", "websecure"])
def test_an_upload_of_ten_minutes_is_let_through_by_default(entry: str) -> None:
    words = container(lab())["args"]
    assert f"--entrypoints.{entry}.{TIMES}.readtimeout=3600s" in words
    assert f"--entrypoints.{entry}.{TIMES}.writetimeout=0s" in words
    assert f"--entrypoints.{entry}.{TIMES}.idletimeout=180s" in words
    assert f"--entrypoints.{entry}.http.encodedcharacters.allowencodedslash=true" in words


def test_time_outs_are_the_inventorys() -> None:
    words = container(lab(", timeout_read_seconds: 30, timeout_write_seconds: 40, timeout_idle_seconds: 50"))[
        "args"
    ]
    assert [word.partition("=")[2] for word in words if TIMES in word] == ["30s", "40s", "50s"] * 2
    assert len(words) == len({word.partition("=")[0] for word in words}), "none is given twice"


def test_a_replica_that_was_started_as_rendered_is_right(tmp_path: Path) -> None:
    found = lab()
    assert client(tmp_path, found).otherwise_started(pod(found)) == []


def test_a_replica_of_other_time_outs_is_named_with_both_values(tmp_path: Path) -> None:
    strange = pod(lab(", timeout_read_seconds: 5"))
    assert client(tmp_path, lab()).otherwise_started(strange) == [
        f"traefik-1 on worker-1: entrypoints.{entry}.{TIMES}.readtimeout is 5s, not 3600s"
        for entry in ("web", "websecure")
    ]


def test_a_replica_without_an_argument_is_named(tmp_path: Path) -> None:
    found = lab()
    bare = pod(found)
    words = bare["spec"]["containers"][0]["args"]
    words[:] = [word for word in words if "web.http.encodedcharacters" not in word]
    assert client(tmp_path, found).otherwise_started(bare) == [
        "traefik-1 on worker-1: "
        "entrypoints.web.http.encodedcharacters.allowencodedslash is not given, not true"
    ]


def test_case_is_no_difference_and_the_last_of_two_counts(tmp_path: Path) -> None:
    found = lab()
    again = pod(found)
    words = again["spec"]["containers"][0]["args"]
    words[:] = [word.replace("allowencodedslash", "allowEncodedSlash") for word in words]
    assert client(tmp_path, found).otherwise_started(again) == []
    words.append(f"--entrypoints.web.{TIMES}.readtimeout=1s")
    [line] = client(tmp_path, found).otherwise_started(again)
    assert "web.transport.respondingtimeouts.readtimeout is 1s, not 3600s" in line


ARGUMENTS = [defect for defect in defects(lab()) if defect.row in ("P3-10", "P3-11")]


@pytest.mark.parametrize("defect", ARGUMENTS, ids=lambda defect: defect.name)
def test_a_defect_changes_what_a_replica_is_started_with(tmp_path: Path, defect: Breakage) -> None:
    """Its sed program, applied to the deployment as kubectl prints it."""
    found, started = lab(), pod(lab())
    words = shlex.split(defect.damage)
    program = words[len(words) - 1 - words[::-1].index("sed") + 1]
    lines = "".join(f"        - {word}\n" for word in started["spec"]["containers"][0]["args"])
    done = subprocess.run(["sed", program], input=lines, capture_output=True, text=True, check=True)
    changed = [line.strip().removeprefix("- ") for line in done.stdout.splitlines()]
    started["spec"]["containers"][0]["args"] = changed
    assert client(tmp_path, found).otherwise_started(started)


def test_lines_that_are_no_requests_are_left_out_of_an_access_log() -> None:
    log = (
        "W1201 02:05:11.000000       1 reflector.go:561] failed to list *v1.Service: Unauthorized\n"
        '{"level":"info","message":"Starting provider"}\n'
        '{"RequestPath":"/seen","DownstreamStatus":200}\n\n'
    )
    assert entries(log) == [{"RequestPath": "/seen", "DownstreamStatus": 200}]
    assert entries("") == []
