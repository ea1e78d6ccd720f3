"""What cloud-init itself says of first boots: its own commands, many documents to one start of Python.

Loading cloud-init takes half a second, far longer than to judge a document: each is judged in a fork of the
interpreter that has loaded it, so that none can change what comes after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lab.checks.outcomes import CouldNotTell
from lab.local import Completed
from lab.verify.programs import INSIDE, CheckedPrograms

NETWORK = "/network-config"
"""How the path of a document ends that is of the network; any other is a cloud-config."""
AT_ONCE = 100
"""Documents to one start: a twentieth of the time that a program may take."""
_WANTED = "documents.json"
_FORKS = """
import json, os, sys, tempfile, traceback
from cloudinit.cmd.main import main
judged = {}
for name, words in json.load(open(sys.argv[1])).items():
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            code = 1
            try:
                os.dup2(said.fileno(), 1), os.dup2(said.fileno(), 2)
                code = main(words) or 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(min(code, 255))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        judged[name] = [code, said.read()]
print(json.dumps(judged))
"""


@dataclass(frozen=True)
class Judged:
    """What came of one document, and the command that shows it again beside a copy of the document."""

    done: Completed
    command: str


def judge(programs: CheckedPrograms, documents: Mapping[str, str]) -> dict[str, Judged]:
    """cloud-init's judgement of each document by its path: of a first boot its schema's, else its parser's.

    Raises `CouldNotTell` when cloud-init cannot be started.
    """
    judged: dict[str, Judged] = {}
    paths = list(documents)
    for first in range(0, len(paths), AT_ONCE):
        judged |= _judge(programs, {path: documents[path] for path in paths[first : first + AT_ONCE]})
    return judged


def _judge(programs: CheckedPrograms, documents: Mapping[str, str]) -> dict[str, Judged]:
    files = {str(number): text for number, text in enumerate(documents.values())}
    commands = {path: _command(path, number) for path, number in zip(documents, files, strict=True)}
    wanted = json.dumps({path: command.split() for path, command in commands.items()})
    ran = programs.in_debian(["python3", "-c", _FORKS, f"{INSIDE}/{_WANTED}"], {**files, _WANTED: wanted})
    if ran.code:
        raise CouldNotTell(f"cloud-init: exit code {ran.code}: {(ran.stdout + ran.stderr).strip()[-500:]}")
    told: dict[str, tuple[int, str]] = json.loads(ran.stdout)
    return {path: Judged(Completed(code, said, ""), commands[path]) for path, (code, said) in told.items()}


def _command(path: str, file: str) -> str:
    if not path.endswith(NETWORK):
        return f"cloud-init schema --config-file {INSIDE}/{file}"
    read = f"cloud-init devel net-convert --network-data {INSIDE}/{file} --kind yaml"
    return f"{read} --output-kind networkd -d {INSIDE}/{file}.d -D debian"
