"""Ctrl-C before a command has begun: one line and the exit code of Ctrl-C, whatever is being imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
AT = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.{handler})


class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Interrupting())
"""


def interrupted(
    folder: Path, module: str, handler: str = "default_int_handler"
) -> subprocess.CompletedProcess[str]:
    """`invoke validate` that gets Ctrl-C when it begins to import a module."""
    (folder / "sitecustomize.py").write_text(AT.format(module=module, handler=handler))
    return subprocess.run(
        [sys.executable, "-m", "invoke", "validate"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "module",
    ["lab.commands.typed", "lab.commands.menu", "lab.commands.checking", "lab.inventory", "pydantic"],
)
def test_ctrl_c_while_a_command_is_imported_is_one_line(module: str, tmp_path: Path) -> None:
    done = interrupted(tmp_path, module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


def test_who_was_started_with_ctrl_c_ignored_goes_on(tmp_path: Path) -> None:
    """As what a script puts into the background."""
    done = interrupted(tmp_path, "lab.commands.menu", "SIG_IGN")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no errors" in done.stdout


def test_who_imports_the_menu_keeps_his_own_ctrl_c() -> None:
    program = "import signal, tasks; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}; {program}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
