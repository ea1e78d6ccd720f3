"""The menu as tests see it, and values for the arguments of its tasks."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import tasks

ROOT = Path(__file__).parents[3]
MENU = {name: tasks.namespace[name] for name in tasks.namespace.task_names}
NAMES = sorted(MENU)
HELP = {name: dict(task.help) for name, task in MENU.items()}
"""Taken now: invoke empties that of a task whose arguments it makes, which other tests have it do."""
GIVEN = {"host": "master-1", "name": "mine", "layer": ["node"], "remove_data": []}


def arguments(name: str) -> dict[str, Any]:
    """Values for the arguments of a task that have no default."""
    known = inspect.signature(MENU[name].body).parameters
    return {
        key: GIVEN[key]
        for key, value in known.items()
        if key != "c" and value.default is inspect.Parameter.empty
    }
