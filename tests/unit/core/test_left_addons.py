"""What add-ons that left made on a host: told by its record there, and taken away, that and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import CommandError, FailedError
from lab.hosts.changes import HostChange
from lab.hosts.converge import apply, compare, look
from lab.render.bundle import Bundle, File
from lab.render.record import HostRecord
from lab.render.role import RoleBinary, Unit
from tests.unit.core.here import HereSsh, bundle, converge, file


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of records, which is elsewhere on a host."""
    folder = tmp_path / "addons"
    folder.mkdir()
    monkeypatch.setattr("lab.hosts.left_addons.PATTERN", f"{folder}/*.json")
    return folder


def owning(records: Path, *files: File) -> Bundle:
    return replace(bundle(*files), owned=(f"{records}/*.json",))


def made(records: Path, tmp_path: Path) -> HostRecord:
    """An add-on's unit, file, program and folder, as its role left them."""
    for name in ("etc/toy/toy.conf", "etc/kept/toy.conf", "bin/toyd", "var/lib/toy/state", "bin/other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / "etc/kept/mine").touch()
    record = HostRecord(
        units=("toy.socket", "toy.service"),
        folders=(f"{tmp_path}/var/lib/toy",),
        files=(f"{tmp_path}/etc/toy/toy.conf", f"{tmp_path}/etc/kept/toy.conf"),
        programs=(f"{tmp_path}/bin/toyd",),
    )
    (records / "toy.json").write_text(record.text)
    return record


def test_an_add_on_that_left_is_taken_away_and_nothing_else(
    ssh: HereSsh, log: Path, records: Path, tmp_path: Path
) -> None:
    made(records, tmp_path)
    wanted = owning(records)
    left = "add-on toy left the inventory"
    told = [
        f"stop and disable toy.socket: {left}",
        f"stop and disable toy.service: {left}",
        f"remove {tmp_path}/var/lib/toy: {left}",
        f"remove {tmp_path}/etc/toy/toy.conf: {left}",
        f"remove {tmp_path}/etc/kept/toy.conf: {left}",
        f"remove {tmp_path}/bin/toyd: {left}",
        f"remove {records}/toy.json",
    ]
    assert [change.sentence for change in compare(wanted, look(ssh, wanted))] == told
    assert (tmp_path / "bin/toyd").exists(), "a look removes nothing"
    assert converge(ssh, wanted) == told
    done = [line for line in log.read_text().splitlines() if "systemctl cat" not in line]
    assert done == [
        "systemctl disable --quiet --now toy.socket",
        "systemctl disable --quiet --now toy.service",
        "systemctl daemon-reload",
    ]
    assert not (tmp_path / "var/lib/toy").exists()
    assert not (tmp_path / "etc/toy").exists(), "its folder is empty"
    left_there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"etc/kept/mine", "bin/other"} <= left_there
    assert not left_there & {"etc/kept/toy.conf", "bin/toyd", "addons/toy.json"}
    assert converge(ssh, wanted) == []


def test_a_removal_that_fails_leaves_the_record_and_is_told_again(
    ssh: HereSsh, records: Path, tmp_path: Path
) -> None:
    """`systemctl` of this machine fails for any command about a unit called broken."""
    record = made(records, tmp_path)
    (records / "toy.json").write_text(HostRecord(units=("toy.service",), files=record.files).text)
    wanted = owning(records)
    changes = compare(wanted, look(ssh, wanted))
    failing = HostChange("", commands=(("systemctl", "restart", "broken"),))
    with pytest.raises(CommandError, match="broken"):
        apply(ssh, "m1", [changes[0], failing, *changes[1:]])
    assert (records / "toy.json").exists(), "what says that there is something left goes last"
    assert (tmp_path / "etc/toy/toy.conf").exists()
    told = [change.sentence for change in compare(wanted, look(ssh, wanted))]
    assert "finish what an earlier run began" in told[0]
    assert f"remove {tmp_path}/etc/toy/toy.conf: add-on toy left the inventory" in told


def test_what_somebody_else_has_by_now_stays(ssh: HereSsh, records: Path, tmp_path: Path) -> None:
    made(records, tmp_path)
    conf = file(tmp_path / "etc/toy/toy.conf", "x\n")
    other = RoleBinary(artifact="toyd", path=f"{tmp_path}/bin/toyd")
    unit = Unit(name="good.service")
    record = HostRecord(units=("good.service",), files=(conf.path,), programs=(other.path,))
    (records / "toy.json").write_text(record.text)
    wanted = replace(owning(records, conf), binaries=(other,), units=(unit,))
    told = [change.sentence for change in compare(wanted, look(ssh, wanted))]
    assert [line for line in told if "left the inventory" in line] == []
    assert f"remove {records}/toy.json" in told


def test_what_an_add_on_makes_no_more_goes_and_the_rest_stays(
    ssh: HereSsh, records: Path, tmp_path: Path
) -> None:
    old = made(records, tmp_path)
    new = HostRecord(units=old.units, folders=old.folders, files=old.files[:1])
    wanted = owning(records, file(records / "toy.json", new.text))
    wanted = replace(wanted, files=(*wanted.files, file(tmp_path / "etc/toy/toy.conf", "x\n")))
    changes = compare(wanted, look(ssh, wanted))
    assert [change.sentence for change in changes if "no more" in change.sentence] == [
        f"remove {tmp_path}/etc/kept/toy.conf: add-on toy makes it no more",
        f"remove {tmp_path}/bin/toyd: add-on toy makes it no more",
    ]
    converge(ssh, wanted)
    assert (tmp_path / "etc/toy/toy.conf").exists()
    assert not (tmp_path / "etc/kept/toy.conf").exists()
    assert converge(ssh, wanted) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Invalid JSON"),
        ('{"files": ["/etc"]}', "files.0: String should match pattern"),
        ('{"folders": ["/var/lib"]}', "folders.0: String should match pattern"),
        ('{"folders": ["/var/lib/../../etc"]}', "folders.0: String should match pattern"),
        ('{"units": ["x; reboot"]}', "units.0: String should match pattern"),
        ('{"colour": 1}', "colour: Extra inputs"),
    ],
)
def test_a_record_that_says_something_else_is_refused_and_nothing_is_removed(
    ssh: HereSsh, records: Path, text: str, says: str
) -> None:
    (records / "toy.json").write_text(text)
    wanted = owning(records)
    with pytest.raises(FailedError, match=f"m1: {records}/toy.json: does not say.*{says}"):
        compare(wanted, look(ssh, wanted))
