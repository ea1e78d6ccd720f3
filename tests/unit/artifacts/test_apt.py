"""The lines for the Debian archive: this machine's own, moved to another release, or none."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from lab.artifacts import apt, rootfs
from lab.artifacts.store import Store
from lab.errors import PreflightError

MIRROR, SECURITY = "http://mirror.example/debian/", "http://mirror.example/debian-security/"
ROWS = {
    "bookworm": f"{MIRROR}|bookworm|main|Debian",
    "bookworm-updates": f"{MIRROR}|bookworm-updates|main|Debian",
    "bookworm-security": f"{SECURITY}|bookworm-security|main|Debian",
    "contrib": f"{MIRROR}|bookworm|contrib|Debian",
    "somebody": "http://else.example|bookworm|main|Somebody",
}
BOOKWORM = [
    f"deb {MIRROR} bookworm main",
    f"deb {MIRROR} bookworm-updates main",
    f"deb {SECURITY} bookworm-security main",
]


def knows(monkeypatch: pytest.MonkeyPatch, rows: list[str], served: Collection[str] = ()) -> None:
    """A machine whose apt has these sources, and archives that have these releases."""

    def answer(program: str, *rest: str) -> list[str]:
        if program == "apt-get":
            return rows
        url, target = rest[1:]
        if url in served:
            Path(target).write_text("InRelease")
        return []

    monkeypatch.setattr(apt, "_apt", answer)


def on(monkeypatch: pytest.MonkeyPatch, codename: str) -> None:
    monkeypatch.setattr(apt, "_own_release", lambda: codename)


def test_the_own_release_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, list(ROWS.values()))
    assert apt.sources("bookworm") == BOOKWORM


def test_another_release_comes_from_the_same_mirror_if_it_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(
        monkeypatch,
        [row.replace("bookworm", "trixie") for row in ROWS.values()],
        {f"{MIRROR}dists/bookworm/InRelease", f"{SECURITY}dists/bookworm-security/InRelease"},
    )
    on(monkeypatch, "trixie")
    assert apt.sources("bookworm") == [BOOKWORM[0], BOOKWORM[2]]


def test_a_mirror_of_one_release_is_not_asked_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, [row.replace("bookworm", "trixie") for row in ROWS.values()])
    on(monkeypatch, "trixie")
    assert apt.sources("bookworm") == []


def test_another_distribution_has_no_lines_of_debians(monkeypatch: pytest.MonkeyPatch) -> None:
    row = "http://archive.example/ubuntu/|noble|main|Ubuntu"
    knows(monkeypatch, [row], {"http://archive.example/ubuntu/dists/bookworm/InRelease"})
    on(monkeypatch, "noble")
    assert apt.sources("bookworm") == []


def test_without_lines_of_its_own_debians_keyring_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []

    def ran(command: list[str], **_: object) -> float:
        commands.append(command)
        return 1.0

    keyring = tmp_path / "debian.gpg"
    monkeypatch.setattr(rootfs, "KEYRING", keyring)
    monkeypatch.setattr("lab.artifacts.rootfs.programs.run", ran)
    monkeypatch.setattr(rootfs, "_clean", lambda *_: None)
    monkeypatch.setattr("lab.artifacts.rootfs.os.geteuid", lambda: 0)
    monkeypatch.setattr("lab.artifacts.rootfs.shutil.which", lambda _: "/usr/bin/mmdebstrap")
    monkeypatch.setattr("lab.artifacts.rootfs.apt.proxy_options", list)
    monkeypatch.setattr("lab.artifacts.rootfs.apt.sources", lambda _: [])

    def make() -> list[str]:
        rootfs.bootstrap(store, tmp_path / "tree", ["make"], "amd64", variant="minbase", name="debian")
        return commands[-1]

    with pytest.raises(PreflightError) as refused:
        make()
    assert str(keyring) in refused.value.message
    assert refused.value.next_step == "apt-get install debian-archive-keyring gpg"
    assert commands == []
    keyring.touch()
    assert f"--keyring={keyring}" in make()
    monkeypatch.setattr("lab.artifacts.rootfs.apt.sources", lambda _: BOOKWORM)
    assert not any(part.startswith("--keyring") for part in make())
    assert make()[-3:] == BOOKWORM


def test_a_root_filesystem_is_roots_work(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.artifacts.rootfs.os.geteuid", lambda: 1000)
    with pytest.raises(PreflightError, match=r"debian: .* only root may make") as refused:
        rootfs.bootstrap(store, tmp_path / "tree", ["make"], "amd64", variant="minbase", name="debian")
    assert "sudo" in refused.value.next_step
