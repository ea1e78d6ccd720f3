"""A provider's folder is whole, or told with file and field before anything asks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InputError
from lab.inventory import providers
from lab.inventory.providers import ProviderRules, known
from lab.inventory.rules.providers import _fields

GOOD = "title: Rack\nusual: true\n"


def folder(tmp_path: Path, **texts: str) -> Path:
    """Folders of providers, each with a face and what its provider.yaml says."""
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "face.py").touch()
        (tmp_path / name / "provider.yaml").write_text(text)
    return tmp_path


def refused(path: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        known.__wrapped__(path)
    assert error.value.next_step
    return error.value.message.splitlines()


def test_a_whole_folder_is_a_provider_and_a_left_one_is_none(tmp_path: Path) -> None:
    path = folder(tmp_path, rack=GOOD, shelf="title: Shelf\n")
    (path / "gone" / "__pycache__").mkdir(parents=True)
    (path / "gone" / "__pycache__" / "face.cpython-311.pyc").touch()
    assert {name: rules.title for name, rules in known.__wrapped__(path).items()} == {
        "rack": "Rack",
        "shelf": "Shelf",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: [\n", "rack/provider.yaml: not YAML: "),
        ("", "rack/provider.yaml: Input should be a valid dictionary"),
        ("usual: true\n", "rack/provider.yaml: title: Field required"),
        (GOOD + "colour: red\n", "rack/provider.yaml: colour: Extra inputs are not permitted (is: red)"),
        (GOOD + "makes: perhaps\n", "rack/provider.yaml: makes: Input should be a valid boolean"),
        ("title: Rack\n", "lab/providers/*/provider.yaml: usual: no provider has it"),
    ],
)
def test_what_a_file_says_wrongly_is_told_with_file_and_field(tmp_path: Path, text: str, said: str) -> None:
    (line,) = refused(folder(tmp_path, rack=text))
    assert line.startswith(said)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = folder(tmp_path, rack=GOOD, shelf="title: 3\n", Hall="title: Hall\n")
    (path / "rack" / "face.py").unlink()
    (path / "cellar").mkdir()
    (path / "cellar" / "provider.yml").touch()
    said = refused(path)
    assert [line.split(": ")[0] for line in said] == [
        "lab/providers/Hall",
        "lab/providers/cellar/provider.yaml",
        "lab/providers/cellar/face.py",
        "lab/providers/rack/face.py",
        "shelf/provider.yaml",
    ]


def test_two_that_would_be_proposed_are_refused(tmp_path: Path) -> None:
    assert "is that of rack and shelf" in refused(folder(tmp_path, rack=GOOD, shelf=GOOD))[0]


def test_rules_about_what_is_no_field_of_a_host_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _fields.__wrapped__()
    rules = ProviderRules(title="Rack", takes={"archs": ("amd64",)}, refuses=("colour",))
    monkeypatch.setattr(providers, "known", lambda: dict.fromkeys(providers.names(), rules))
    with pytest.raises(InputError) as error:
        _fields.__wrapped__()
    assert "provider.yaml: takes: archs: no field of a host; they are: role, " in error.value.message
    assert "provider.yaml: refuses: colour: no field of a host" in error.value.message
