"""Whose a lab, a namespace and a machine are."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

from lab.providers.lxc.mark import (
    MachineMark,
    new_lab_mark,
    own_machine,
    read_lab_mark,
    stranger,
    write_mark,
)
from lab.providers.lxc.monitors import monitors
from lab.providers.lxc.network import LabNetwork
from lab.providers.lxc.ownership import strangers, unusable_paths


class FakeNetwork(LabNetwork):
    """A namespace that exists with the given mark on its switch."""

    def __init__(self, home: Path, mark: str | None) -> None:
        super().__init__("x", home, IPv4Interface("10.1.1.1/24"))
        self.mark = mark

    def exists(self) -> bool:
        return self.mark is not None

    def owner(self) -> str:
        return self.mark or ""


def seen(home: Path, mark: str | None = None, names: tuple[str, ...] = ()) -> list[str]:
    return [str(problem) for problem in strangers("x", home, FakeNetwork(home, mark), names)]


def test_nothing_there_and_an_empty_folder_are_free(tmp_path: Path) -> None:
    assert seen(tmp_path / "none") == []
    (tmp_path / ".lab.json").write_text("half")  # killed while the mark was written
    assert seen(tmp_path) == []


def test_a_lab_of_this_checkout_is_ours(tmp_path: Path) -> None:
    write_mark(tmp_path, new_lab_mark("x"))
    assert seen(tmp_path) == []
    assert seen(tmp_path, mark=str(tmp_path)) == []


def test_a_folder_without_a_mark_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    assert "not the folder of a lab" in seen(tmp_path)[0]


def test_a_mark_of_another_format_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text(json.dumps({"lab": "x", "checkout": "/", "made": "", "format": 99}))
    assert read_lab_mark(tmp_path) is None
    assert seen(tmp_path)


def test_the_same_lab_from_another_checkout_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other-checkout"
    other.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    write_mark(home, replace(new_lab_mark("x"), checkout=str(other), made="2026-01-02T03:04:05+00:00"))
    assert str(other) in seen(home)[0]
    assert "2026-01-02" in seen(home)[0]
    other.rmdir()
    assert seen(home) == []  # its checkout is gone: it may be taken over


def test_the_folder_of_another_lab_is_refused(tmp_path: Path) -> None:
    write_mark(tmp_path, new_lab_mark("y"))
    assert stranger(tmp_path, "x") == f"{tmp_path} is the folder of the lab 'y'"


def test_a_namespace_is_ours_by_the_mark_on_its_switch_or_in_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "belongs to no lab" in seen(home, mark="")[0]
    assert "belongs to /elsewhere" in seen(home, mark="/elsewhere")[0]
    assert seen(home, mark=str(home)) == []  # the folder was removed by hand, the switch still says so
    home.mkdir()
    write_mark(home, new_lab_mark("x"))
    assert seen(home, mark="") == []  # killed between namespace and switch
    assert "belongs to /elsewhere" in seen(home, mark="/elsewhere")[0]


def test_a_machines_folder_is_ours_by_lab_and_name(tmp_path: Path) -> None:
    write_mark(tmp_path, new_lab_mark("x"))
    for name, lab, called in (("m1", "x", "m1"), ("m2", "y", "m2"), ("m3", "x", "m1")):
        folder = tmp_path / "machines" / name
        folder.mkdir(parents=True)
        write_mark(folder, MachineMark(lab, called, "02:00:00:00:00:01", ("/debian",), ()))
    (tmp_path / "machines/m4").mkdir()
    assert own_machine(tmp_path / "machines/m1", "x")
    problems = seen(tmp_path, names=("m1", "m2", "m3", "m4", "m5"))
    assert [problem.split(":")[0] for problem in problems] == ["machine m2", "machine m3", "machine m4"]


def test_paths_that_a_mount_option_cannot_name_are_refused() -> None:
    paths = [Path("/fine/path-1"), Path("/with blank"), Path("/with:colon"), Path("/with,comma")]
    assert len(unusable_paths(paths)) == 3


def test_monitors_are_found_by_title_or_by_command_line(tmp_path: Path) -> None:
    lines = {
        "10": "[lxc monitor] /labs/x/machines m1\0",
        "11": "lxc-start\0-P\0/labs/x/machines\0-n\0m2\0-f\0/labs/x/machines/m2/config\0-d\0",
        "12": "[lxc monitor] /labs/xx/machines m3\0",
        "13": "vi\0/labs/x/machines\0",
        "14": "",
        "self": "[lxc monitor] /labs/x/machines m4\0",
    }
    for pid, line in lines.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_text(line)
    assert monitors(Path("/labs/x/machines"), tmp_path) == {10: "m1", 11: "m2"}
