"""What is generated from the code is what the code says, and `refresh` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.commands import generated


def test_generated_files_are_current() -> None:
    assert generated.outdated() == [], "run: invoke docs"


def test_a_stale_file_is_written_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, stale, missing = (tmp_path / name for name in ("good", "stale", "missing"))
    good.write_text("as it is")
    stale.write_text("as it was")
    wanted = {good: "as it is", stale: "as it is", missing: "as it is"}
    monkeypatch.setattr(generated, "_wanted", lambda: wanted)
    before = good.stat().st_mtime_ns
    assert generated.refresh() == [stale, missing]
    assert generated.outdated() == []
    assert (good.stat().st_mtime_ns, missing.read_text()) == (before, "as it is")
