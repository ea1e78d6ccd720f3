"""bench --what artifacts: source upstream from servers on loopback, beside skopeo and curl by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.artifacts.sources.upstream import official_files
from lab.artifacts.store import cache_folder
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.catalogue.catalogue import Selection
from lab.catalogue.load import load_catalogue
from lab.errors import FailedError
from lab.inventory import load

LIMITS = {"ratio": 1.3, "transfers_at_once": 4, "peak_mib": 150, "second_seconds": 0.5}
"""What is promised: at most, and of the transfers at least."""
BY_HAND = 4
"""Programs at a time in the comparison: what `xargs -P` is given by who is in a hurry."""
TRIES = 3
"""The best of so many runs counts, by hand and ours in turn: what else the machine does only ever adds."""
FETCH = """
import sys
from lab.artifacts.provide import foreign_stock
from lab.artifacts.wanted import wanted
from lab.inventory import load
lab = load("rehearsal")
foreign_stock(wanted(lab), "upstream", sys.argv[1], say=lambda line: print(line, file=sys.stderr))
"""
"""All that is fetched, without the image store that is then made of it."""
AGAIN = ("-m", "invoke", "artifacts", "-s", "upstream", "--fetch")

# when a transfer began and ended (seconds, of the clock that never goes back), its bytes
Transfer = tuple[float, float, int]


def bench_artifacts() -> dict[str, Any]:
    """Figures of fetching everything that a lab's machines get, for this processor.

    What source `modules` built is published on loopback first. Raises `FailedError` when a command fails.
    """
    # the servers are a double of the tests; nothing else here needs them
    from tests.doubles.upstream.world import World

    arch = host_arch()
    # beside the store: what is measured is fetching, not two different disks
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder().parent, prefix="plumbline-bench-") as scratch:
        folder = Path(scratch)
        with World(folder) as world:
            published = load_catalogue(folder / "artifacts" / "catalogue.yaml", folder / "addons")
            selection = published.select(wanted(load("rehearsal")))
            commands = by_hand(selection, arch, folder / "hand")
            (folder / "commands").write_text("".join(f"{command}\n" for command in commands))
            # what is fetched is on the disk at the end: here as there
            in_parallel = f"xargs -P {BY_HAND} -d '\\n' -n 1 sh -ec < commands"
            typed = f"mkdir hand; {in_parallel}; sync hand/* hand/*/*"
            hands, fetches, spans = [], [], []
            for number in range(TRIES):
                hands.append(_run(world.command("sh", "-ec", typed, folder=folder), world.env())[0])
                shutil.rmtree(folder / "hand")
                # each time a store of its own that has what is built here; the last is that of what follows
                store = folder / ("cache" if number == TRIES - 1 else f"store-{number}")
                if not store.exists():
                    shutil.copytree(folder / "cache", store, symlinks=True, copy_function=os.link)
                env = world.env(PLUMBLINE_CACHE=str(store))
                begun = time.monotonic()
                fetches.append(_run(world.command(sys.executable, "-c", FETCH, arch), env))
                spans.append((begun, time.monotonic()))
            again = world.command(sys.executable, *AGAIN)
            image_store = _run(again, world.env())[0]
            second = min(_run(again, world.env())[0] for _ in range(TRIES))
        begun, ended = spans[-1]
        transfers = [one for one in world.seen()["transfers"] if begun <= one[0] <= ended]
    hand, seconds = min(hands), min(took for took, _ in fetches)
    return {
        "architecture": arch,
        "files_and_images": len(commands),
        "mib": sum(size for _, _, size in transfers) >> 20,
        "by_hand_at_once": BY_HAND,
        "by_hand_seconds": hand,
        "fetch_seconds": seconds,
        "ratio": round(seconds / hand, 2),
        "transfers_at_once": at_once(transfers),
        "peak_mib": max(peak for _, peak in fetches),
        "image_store_seconds": image_store,
        "second_seconds": second,
        "limits": LIMITS,
    }


def by_hand(selection: Selection, arch: str, folder: Path) -> list[str]:
    """What somebody would type to have the same bytes: one command a file, one an image."""
    urls = [file.url for _, one in selection.named() for file in official_files(one, arch).values()]
    urls += [one.filled(one.url) for _, one in selection.files()]
    commands = []
    for number, url in enumerate(urls):
        commands.append(f"curl --silent --show-error --fail --location -o {folder}/{number} {url}")
    for item, image in selection.images():
        if image.digest:
            source = f"docker://{image.tagged.rpartition(':')[0]}@{image.digest}"
            target = f"dir:{folder}/{item.name}"
            commands.append(f"skopeo copy --quiet --override-arch {arch} {source} {target}")
    return commands


def at_once(transfers: Iterable[Transfer]) -> int:
    """The most transfers that ran at one time."""
    steps = sorted(step for begin, end, _ in transfers for step in ((begin, 1), (end, -1)))
    running = most = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most


def _run(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, int]:
    """Seconds of a command, and the most memory that it and its children had at one time (MiB, each
    shared page counted once: PSS, proc(5))."""
    begun = time.monotonic()
    with subprocess.Popen(command, env=dict(env), stdout=sys.stderr) as process:
        peaks = [0]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.2):
                peaks.append(sum(_pss_kib(pid) for pid in _family(process.pid)))

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        code = process.wait()
        seconds = time.monotonic() - begun
        ended.set()
        watching.join()
    if code:
        raise FailedError(f"bench: `{' '.join(command)}` ended with exit code {code}")
    return round(seconds, 2), max(peaks) >> 10


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return [pid]
    return [pid, *(one for text in texts for child in text.split() for one in _family(int(child)))]


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it has ended
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
