"""What preflight says of artefacts that are missing: room for them, or the bundle that brings them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.artifacts.room import BUILT, EACH, OTHERS, room_mib
from lab.artifacts.status import StatusRow, lacking, undecided
from lab.catalogue.load import load_catalogue
from lab.machines import Blocker
from lab.steps.preflight import artefacts, possible, rows_of
from tests.world import inventory

Free = Callable[[int], None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """The free MiB of every disk."""

    def has(mib: int) -> None:
        usage = type("Usage", (), {"free": mib << 20})
        monkeypatch.setattr("lab.steps.preflight.shutil.disk_usage", lambda _folder: usage)

    return has


def row(name: str, source: str, state: str = "missing") -> StatusRow:
    known = load_catalogue().components
    version = known[name].first if name in known else ""
    return StatusRow(name, version, source, "", state, 0)


def found(cache: Path, source: str) -> list[Blocker]:
    return artefacts(rows_of(inventory(), source), cache=cache)


def test_what_is_built_takes_more_than_what_is_fetched() -> None:
    assert room_mib([row("kubernetes", "modules")]) == BUILT + EACH
    assert room_mib([row("kubernetes", "upstream"), row("kube-proxy", "upstream")]) == 2 * EACH
    assert room_mib([row("kubernetes", "modules", "present"), row("kube-proxy", "modules")]) == EACH
    assert room_mib([row("probe", "modules")]) == BUILT + 2 * EACH, "its program is no row of its own"
    assert room_mib([row("debian", "debian"), row("payload", "modules")]) == OTHERS["debian"]
    assert room_mib([]) == 0


@pytest.mark.parametrize(
    ("source", "least", "most"), [("modules", 14_000, 18_000), ("upstream", 5_000, 7_000)]
)
def test_an_empty_store_needs_room_for_all_and_is_not_made(
    source: str, least: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: Free
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("PLUMBLINE_CACHE", str(cache))
    monkeypatch.delenv("PLUMBLINE_SOURCE", raising=False)
    free(most)
    assert found(cache, source) == []
    free(least)
    [problem] = found(cache, source)
    assert problem.stops
    assert (problem.subject, problem.seen) == (f"free disk at {tmp_path}", f"{least} MiB")
    assert "artefacts that the store does not have" in problem.wanted
    assert "PLUMBLINE_CACHE" in problem.fix
    assert not cache.exists(), "looking changes nothing"


@pytest.mark.parametrize(("mib", "stops"), [(18_000, None), (14_000, False), (7_000, False), (5_000, True)])
def test_of_source_auto_room_for_what_upstream_might_not_give_is_told(
    mib: int, stops: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: Free
) -> None:
    """Which it will be is asked of the network later: the worst is a warning, what is needed anyway stops."""
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PLUMBLINE_SOURCE", raising=False)
    rows, built = possible(inventory())
    free(mib)
    problems = artefacts(rows, built, cache=tmp_path / "cache")
    assert [problem.stops for problem in problems] == ([] if stops is None else [stops])
    least, most = room_mib(rows), room_mib(built)
    assert least < most
    for problem in problems:
        assert f"about {least} MiB for " in problem.wanted
        assert problem.wanted.endswith(f", and {most} MiB if upstream does not answer and all is built here")


def test_only_source_auto_that_has_to_ask_the_network_has_two_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLUMBLINE_SOURCE", raising=False)
    here, gone = row("kubernetes", "upstream", "present"), row("kubernetes", "upstream")
    others = [row("payload", "upstream"), row("debian", "debian"), row("flannel-manifest", "upstream")]
    assert undecided([gone, *others], "auto")
    assert not undecided([here, *others], "auto"), "a single file is the same of both"
    assert not undecided([gone], "modules")
    monkeypatch.setenv("PLUMBLINE_SOURCE", "upstream")
    assert not undecided([gone], "auto")
    assert len(possible(inventory())) == 1


def test_a_store_that_has_all_needs_no_room(tmp_path: Path, free: Free) -> None:
    free(0)
    assert artefacts([row("kubernetes", "modules", "present")], cache=tmp_path) == []


def test_a_mirror_must_have_all_but_what_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: Free
) -> None:
    monkeypatch.setenv("PLUMBLINE_SOURCE", "mirror")
    free(OTHERS["containerd-root"])
    made_here = [row("payload", "mirror"), row("containerd-root", "mirror")]
    assert artefacts([row("kubernetes", "modules", "present"), *made_here], cache=tmp_path) == []
    broken = row("debian", "debian", "broken: /x is gone")
    [problem] = artefacts([row("kubernetes", "modules"), broken, *made_here], cache=tmp_path)
    assert problem.stops
    assert problem.seen == f"2 of them are not in {tmp_path}, or damaged: kubernetes, debian"
    assert problem.fix == "invoke artifacts.bundle --from FILE"


def test_what_is_broken_is_lacking_too() -> None:
    rows = [row("a", "modules", "present"), row("b", "modules"), row("c", "modules", "broken: gone")]
    assert [one.component for one in lacking(rows)] == ["b", "c"]
