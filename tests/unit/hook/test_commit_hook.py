"""The hook of `make hooks`, asked by git itself: it judges what is staged, and nobody's hook is replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tests.hook

HOOK = Path(tests.hook.__path__[0])
PROJECT = """
[tool.ruff]
line-length = 80
[tool.mypy]
strict = true
files = ["lab"]
cache_dir = "{}"
[tool.pytest.ini_options]
pythonpath = ["."]
"""
GOOD = 'def f() -> int:\n    """One."""\n    return 1\n'
UNUSED = f"import os\n\n\n{GOOD}"
TEST = "from lab.a import f\n\n\ndef test_f() -> None:\n    assert f() == 1\n"

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


class Repository:
    """A small project with our hook; its `.venv` is the environment of this test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *arguments: str, code: int = 0) -> str:
        """What git says on both streams."""
        return self.run("git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments, code=code)

    def run(self, *argv: str, code: int = 0) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            argv, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def install(self, code: int = 0) -> str:
        return self.run(".venv/bin/python", "-m", "tests.hook", "install", code=code)

    def commit(self, path: str, text: str, code: int = 0) -> str:
        """Stage one file and commit it."""
        self.write(path, text)
        self.git("add", path)
        return self.git("commit", "-m", path, code=code)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of mypy: what it knows of Python's own library is the same for all."""
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture
def repository(tmp_path: Path, cache: Path) -> Repository:
    """Its first commit is made, and the hook is installed."""
    made = Repository(tmp_path / "project")
    shutil.copytree(HOOK, made.folder / "tests" / "hook")
    for path, text in {
        "pyproject.toml": PROJECT.format(cache),
        "tasks.py": "",
        "lab/a.py": GOOD,
        "lab/b.py": "",
        "tests/unit/test_a.py": TEST,
        ".gitignore": ".venv\n__pycache__\n",
    }.items():
        made.write(path, text)
    (made.folder / ".venv").symlink_to(sys.prefix)
    made.git("init", "-q")
    made.git("add", ".")
    made.git("commit", "-q", "-m", "first")
    made.install()
    return made


def test_a_commit_with_a_lint_error_is_refused_and_a_clean_one_passes(repository: Repository) -> None:
    said = repository.commit("lab/a.py", UNUSED, code=1)
    assert "F401" in said
    assert "error: ruff check: the commit is not made" in said
    said = repository.commit("lab/a.py", GOOD.replace("One", "Just one"))
    asked = [line.partition(" ok, ")[0].strip() for line in said.splitlines() if " ok, " in line]
    assert asked == ["ruff check", "ruff format", "mypy", "pytest"]


def test_what_is_staged_counts_and_not_the_work_tree(repository: Repository) -> None:
    repository.write("lab/a.py", UNUSED)
    repository.write("lab/new.py", "import os\n")
    repository.commit("lab/b.py", "B = 1\n")
    repository.git("add", "lab/a.py")
    repository.write("lab/a.py", GOOD)
    assert "F401" in repository.git("commit", "-m", "staged", code=1)
    assert (repository.folder / "lab" / "a.py").read_text() == GOOD, "the work tree is left alone"


def test_types_and_the_tests_of_a_changed_module_are_asked(repository: Repository) -> None:
    said = repository.commit("lab/a.py", GOOD.replace("return 1", "return 2"), code=1)
    assert "error: pytest: the commit is not made" in said
    said = repository.commit("lab/a.py", GOOD.replace("return 1", 'return "1"'), code=1)
    assert "error: mypy: the commit is not made" in said
    assert "pytest" not in said, "what is slow is not asked any more"


def test_a_file_that_went_is_missed_by_all_tests(repository: Repository) -> None:
    repository.git("rm", "-q", "lab/a.py")
    assert "No module named 'lab.a'" in repository.git("commit", "-m", "gone", code=1)


def test_a_linked_work_tree_is_judged_with_the_environment_of_the_main_one(repository: Repository) -> None:
    repository.git("worktree", "add", "-q", "../other", "-b", "other")
    other = Repository(repository.folder.parent / "other")
    assert "F401" in other.commit("lab/a.py", UNUSED, code=1)
    other.commit("lab/a.py", GOOD.replace("One", "Just one"))
    assert (repository.folder / "lab" / "a.py").read_text() == GOOD


def test_without_an_environment_nothing_is_passed(repository: Repository) -> None:
    (repository.folder / ".venv").unlink()
    assert "no .venv here" in repository.commit("lab/b.py", "B = 1\n", code=1)


def test_a_branch_from_before_the_hook_is_not_judged(repository: Repository) -> None:
    repository.git("rm", "-r", "-q", "tests/hook")
    repository.commit("lab/a.py", UNUSED)


def test_it_is_installed_again_and_removed_by_deleting_it(repository: Repository) -> None:
    path = repository.folder / ".git" / "hooks" / "pre-commit"
    assert f"rm {path}" in repository.install()
    path.unlink()
    repository.commit("lab/a.py", UNUSED)


def test_a_hook_of_somebody_else_is_left(repository: Repository) -> None:
    path = repository.folder / ".git" / "hooks" / "pre-commit"
    path.write_text("#!/bin/sh\necho mine\n")
    said = repository.install(code=3)
    assert f"error: {path}: is a hook of somebody else; nothing was written" in said
    assert "python -m tests.hook" in said
    assert path.read_text() == "#!/bin/sh\necho mine\n"


def test_a_folder_of_hooks_that_other_repositories_share_is_left(repository: Repository) -> None:
    shared = repository.folder.parent / "shared"
    repository.git("config", "core.hooksPath", str(shared))
    assert f"core.hooksPath: {shared}: is not this repository's alone" in repository.install(code=3)
    assert not shared.exists()
