"""What `invoke render` leaves in a run's folder."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from lab.commands import checking
from lab.commands.rendering import write
from lab.inventory import load
from lab.providers.opening import traits_of
from lab.render.bundle import pins
from lab.render.outputs import everything
from lab.render.roles import ROLES, load_roles
from lab.runs import Run, mask
from lab.ssh import Keys
from tests.world import MANIFESTS

SEED, OWN = "worker-1/cloud-init/user-data", stat.S_IRUSR | stat.S_IWUSR


def test_every_file_is_there_by_its_path_and_hosts_that_are_alike_share_one_tree(tmp_path: Path) -> None:
    lab = load("rehearsal")
    keys = Keys(str(tmp_path / "keys"))  # an absolute path: the user's own folder stays as it is
    files = dict(everything(lab, traits_of(lab), pins(lab), keys, MANIFESTS))
    files["worker-2/root/etc/extra"] = "of this worker alone\n"
    run = Run(tmp_path, lab.lab, "render")
    try:
        assert write(run, sorted(files.items())) == len(files)
    finally:
        run.close()
    rendered = run.folder / "rendered"
    seeds = {path for path in files if "/cloud-init/" in path}
    for path, text in files.items():
        if path not in seeds:
            assert (rendered / path).read_text() == mask(text), path
    assert "BEGIN OPENSSH PRIVATE KEY" in (rendered / SEED).read_text()
    assert {stat.S_IMODE((rendered / path).stat().st_mode) for path in seeds} == {OWN}
    links = {
        str(path.relative_to(rendered)): str(path.readlink())
        for path in rendered.glob("*/root")
        if path.is_symlink()
    }
    assert links == {f"master-{n}/root": "../master-1/root" for n in (2, 3)}


@pytest.fixture
def roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the roles: a copy, that a test may change."""
    copy = tmp_path / "roles"
    shutil.copytree(ROLES, copy)
    monkeypatch.setattr("lab.render.roles.ROLES", copy)
    load_roles.cache_clear()
    yield copy
    load_roles.cache_clear()


@pytest.mark.usefixtures("roles")
def test_validate_holds_with_the_roles_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    checking.validate("rehearsal", "")
    assert capsys.readouterr().out == "rehearsal: 6 machines, 5 Kubernetes nodes: no errors\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("colour: red", "roles/worker.yaml: colour: Extra inputs are not permitted"),
        (
            "files: [{path: /etc/x, template: system/nosuch}]",
            "roles/worker.yaml: files: system/nosuch: there is no templates/system/nosuch.j2",
        ),
    ],
)
def test_validate_tells_what_is_wrong_in_a_role(
    roles: Path, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    (roles / "worker.yaml").write_text(f"name: worker\nhosts: worker\n{line}\n")
    with pytest.raises(Exit) as ended:
        checking.validate("rehearsal", "")
    assert ended.value.code == 2
    assert f"error: {told}" in capsys.readouterr().err


def test_validate_and_render_import_no_client_of_an_api() -> None:
    """A fifth of a second each: half of what a lab of sixteen machines may take (`invoke bench`)."""
    program = (
        "import sys\n"
        "import lab.commands.checking, lab.commands.rendering\n"
        "from lab.inventory import load\n"
        "from lab.providers.opening import traits_of\n"
        "traits_of(load('production'))\n"
        "print(*{'kubernetes', 'requests', 'proxmoxer', 'lab.cluster'} & {*sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
