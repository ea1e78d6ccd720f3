"""From a function's signature and docstring to a task of the menu."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from invoke.context import Context
from invoke.tasks import Task

from lab.commands import run

HELP = {
    "inventory": "name in inventory/ or path of a file",
    "provider": "rehearse with another provider (lxc: on this machine)",
    "source": "where artefacts come from: auto, upstream or modules",
    "host": "name of a host",
    "name": "name of the new lab",
    "lan": "network of the machines",
    "masters": "how many masters: 3, 5 or 7",
    "workers": "how many workers",
    "layer": "a layer, may be repeated",
    "select": "rows, hosts or names",
    "what": "lab (built and destroyed) or inventory (no lab needed)",
    "arch": "of which machines: amd64 or arm64; default: this machine's",
    "fetch": "bring what is missing",
    "json": "print JSON",
    "run": "folder of a run, or its name; the newest verify",
    "against": "an older run to compare with",
    "profile": "a profile of `load` in the inventory",
    "ceiling": "measure the generator's own limit too, beside wrk",
    "seconds": "how long it lasts",
    "times": "how many trials",
    "version": "major version of Proxmox VE: 8 or 9",
    "remove": "remove them all; one with linked clones is refused",
    "verbose": "show the traceback of an error",
}
"""What an option means wherever it stands; a task may say it otherwise."""


def command(
    target: str, /, *, positional: tuple[str, ...] = (), remainder: bool = False, **say: str
) -> Callable[[Callable[..., None]], Task[Any]]:
    """A task that calls `target` (`module.function` of `lab.commands`) with its options, by their names.

    The decorated function is never called: its name, docstring, parameters and defaults are the task's. Every
    task gets `--verbose`. A parameter whose default is a tuple may be repeated; `remainder` hands on what
    stands after `--` as `arguments`; `say` explains options of this task alone.
    """

    def decorate(function: Callable[..., None]) -> Task[Any]:
        parameters = list(inspect.signature(function).parameters.values())
        repeated = [item.name for item in parameters if isinstance(item.default, tuple)]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        signature = inspect.Signature(
            [
                inspect.Parameter("c", kind),
                # Invoke makes a list of a repeated option only if it has no default
                *(
                    item.replace(default=inspect.Parameter.empty)
                    for item in parameters
                    if item.name in repeated
                ),
                *(item for item in parameters if item.name not in repeated),
                inspect.Parameter("verbose", kind, default=False),
            ]
        )

        def body(c: Context, **options: Any) -> None:
            bound = signature.bind(c, **options)
            bound.apply_defaults()
            del bound.arguments["c"]
            if remainder:
                bound.arguments["arguments"] = c.remainder
            run(target, **bound.arguments)

        body.__name__ = function.__name__
        body.__doc__ = function.__doc__
        body.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature reads
        meanings = HELP | say
        explained = {item: meanings[item] for item in signature.parameters if item in meanings}
        return Task(body, positional=positional, iterable=repeated, help=explained)

    return decorate
