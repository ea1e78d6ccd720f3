"""A lab without machines whose API outlives the process, so that a checkout can change between two commands.

    python -m tests.kept_cluster FOLDER plan|build INVENTORY [ADD-ON ...]

The words at the end are those of `--remove-data`. The objects of the API lie in FOLDER/objects.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lab.errors import PlumblineError
from lab.inventory.loading import parse
from lab.operations import build as operation
from lab.steps.engine import listed
from lab.steps.machines import machine
from tests.world import World


def main(folder: Path, action: str, inventory: Path, words: tuple[str, ...]) -> int:
    """The exit code of the command."""
    world = World(folder, parse(inventory.read_text(), str(inventory)))
    build = world.build()
    world.provider.prepare()
    for name in world.inventory.hosts:
        world.provider.create(machine(build, name))
    for name in world.inventory.nodes:
        world.becomes_member(name, founding=name == world.inventory.masters[0])
    kept = folder / "objects.json"
    if kept.exists():
        world.api.restore(json.loads(kept.read_text()))
    try:
        steps = operation.steps(build, remove_data=words)
        if action == "build":
            build.engine.execute(steps)
        else:
            for step in listed(steps):
                print(*(f"{step.key}: {sentence}\n" for sentence in step.will), sep="", end="")
    except PlumblineError as error:
        print(error)
        return error.exit_code
    finally:
        kept.write_text(json.dumps(world.api.objects))
        build.run.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), tuple(sys.argv[4:])))
