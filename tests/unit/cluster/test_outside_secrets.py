"""Secrets that people have: files with mode 600 outside the checkout, told by place and never by value."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lab.addons import addons
from lab.cluster.outside_secrets import ensure_outside, outside_change
from lab.errors import PreflightError
from lab.inventory.outside import LONGEST, OutsideSecret
from tests.fake_api import FakeApi
from tests.unit.cluster.objects import put

ADDON = next(item for item in addons() if item.name == "alertmanager")
PLACE = ("observability", "alertmanager", "receivers", 0, "secret_file")
SECRET = "tk_5d2f9a"


def kept(file: Path, text: str = f"{SECRET}\n", mode: int = 0o600) -> OutsideSecret:
    file.write_text(text)
    file.chmod(mode)
    return OutsideSecret("monitoring", "alertmanager-receivers", {"phone": (str(file), PLACE)})


def test_a_file_of_mine_is_read_without_its_last_line_feed(tmp_path: Path) -> None:
    wanted = kept(tmp_path / "a")
    assert wanted.problems(tmp_path / "checkout") == []
    assert wanted.held(tmp_path / "checkout") == {"phone": SECRET}


@pytest.mark.parametrize(
    ("text", "mode", "root", "why"),
    [
        (SECRET, 0o640, "checkout", "others can read this secret"),
        (SECRET, 0o604, "checkout", "others can read this secret"),
        (" \n", 0o600, "checkout", "is empty"),
        ("x" * (LONGEST + 1), 0o600, "checkout", "is longer than 65536 bytes"),
        (SECRET, 0o600, ".", "lies in the checkout, where it would be committed"),
    ],
)
def test_what_cannot_be_taken_is_told_with_place_file_and_reason(
    tmp_path: Path, text: str, mode: int, root: str, why: str
) -> None:
    wanted = kept(tmp_path / "a", text, mode)
    ((place, file, said),) = wanted.problems(tmp_path / root)
    assert (place, file) == ("observability.alertmanager.receivers[0].secret_file", tmp_path / "a")
    assert said.startswith(why)
    with pytest.raises(PreflightError, match=r"receivers\[0\]\.secret_file: ") as error:
        wanted.held(tmp_path / root)
    assert SECRET not in str(error.value)


def test_a_file_that_is_not_there_and_one_that_is_a_folder_are_told(tmp_path: Path) -> None:
    gone = OutsideSecret("x", "y", {"a": (str(tmp_path / "gone"), PLACE), "b": (str(tmp_path), PLACE)})
    assert [why for _, _, why in gone.problems(tmp_path / "checkout")] == [
        "No such file or directory",
        "is no file",
    ]


def test_it_is_made_once_and_again_when_the_file_holds_something_else(tmp_path: Path) -> None:
    api, wanted, root = FakeApi(), kept(tmp_path / "a"), tmp_path / "checkout"
    put(api, "Namespace", "monitoring")
    change = outside_change(api, wanted, root)
    assert change
    assert change.sentence == "create Secret/monitoring/alertmanager-receivers"
    assert ensure_outside(api, ADDON, wanted, root)
    assert outside_change(api, wanted, root) is None
    assert not ensure_outside(api, ADDON, wanted, root)
    kept(tmp_path / "a", "another")
    change = outside_change(api, wanted, root)
    assert change
    assert "something else" in change.before
    assert not {SECRET, "another"} & {*change.before.split(), *change.after.split()}
    assert ensure_outside(api, ADDON, wanted, root)
    living = api.get("/api/v1/namespaces/monitoring/secrets/alertmanager-receivers")
    assert living
    assert base64.b64decode(living["data"]["phone"]).decode() == "another"
    assert living["metadata"]["labels"] == {"plumbline.local/addon": "alertmanager"}
