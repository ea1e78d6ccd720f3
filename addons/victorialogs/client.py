"""The log store asked from a machine of the lab, and what came of numbered lines: none missing, none twice.

Delivery is at least once: a shipper that was ended sends what it is not sure of again, as an exact copy (same
stream, time and text). A copy is counted, and is no second line.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from addons.victorialogs.section import address
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell

SECONDS = 20
MOST = 20_000
"""Entries of one answer; a check that finds more has lost count, and says so."""
COMMAND = "curl http://{address}/select/logsql/query -d 'query={query}'"
PROGRAM = """
import json, sys, urllib.error, urllib.parse, urllib.request
asked = json.load(sys.stdin)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
body = urllib.parse.urlencode(asked["fields"]).encode()
try:
    with opener.open(asked["url"], data=body, timeout=asked["seconds"]) as answer:
        sys.stdout.buffer.write(answer.read())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code}: {error.read(500).decode(errors='replace')}")
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@dataclass(frozen=True)
class LogEntry:
    """One entry of the store. `source` is its machine or its pod's node, `copies` how often it lies there."""

    source: str
    time: str
    text: str
    copies: int = 1


@dataclass(frozen=True)
class LogStore:
    """VictoriaLogs of one lab, which has it; `asker` is the machine that asks, which its firewall lets in."""

    driver: Driver
    asker: str

    def command(self, query: str) -> str:
        """The same question for people, on any machine of the lab."""
        return COMMAND.format(address=address(self.driver.inventory), query=query)

    def entries(self, word: str, *, since_seconds: int = 900) -> list[LogEntry]:
        """The entries of the newest time that hold a word, each once, in the order of their time.

        Raises `CouldNotTell` when the store does not answer, or has more than can be counted.
        """
        query = question(word, since_seconds)
        request = {
            "url": f"http://{address(self.driver.inventory)}/select/logsql/query",
            "fields": {"query": query, "timeout": f"{SECONDS}s"},
            "seconds": SECONDS,
        }
        command = f"python3 -c {shlex.quote(PROGRAM)}"
        said = self.driver.read(self.asker, command, stdin=json.dumps(request), seconds=SECONDS + 10)
        found = parsed(said.splitlines())
        if sum(entry.copies for entry in found) >= MOST:
            raise CouldNotTell(f"{word}: more than {MOST} entries", next_step=self.command(query))
        return found


def question(word: str, since_seconds: int) -> str:
    """The question in LogsQL: entries of the newest time with a word (letters and digits) in their text."""
    fields = '_time, _stream_id, _msg, _HOSTNAME, "kubernetes.pod_node_name"'
    return f"_time:{since_seconds}s {word} | fields {fields} | limit {MOST}"


def parsed(lines: Iterable[str]) -> list[LogEntry]:
    """The answer's lines as entries, copies as one. Raises `CouldNotTell` for a line that is none."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for line in lines:
        try:
            item = json.loads(line)
            source = item.get("_HOSTNAME") or item.get("kubernetes.pod_node_name") or ""
            found[(item["_time"], source, item["_stream_id"], item["_msg"])] += 1
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CouldNotTell(f"the log store answers with what is no entry: {line[:120]}") from error
    return [LogEntry(key[1], key[0], key[3], copies) for key, copies in sorted(found.items())]


@dataclass(frozen=True)
class Tally:
    """What came of lines that were written: by source, shortened for people."""

    missing: dict[str, str]
    twice: dict[str, str]
    """Lines that are there at two times: no copies of one, but told by two."""
    astray: dict[str, str]
    """Lines under the name of a machine that has not written them."""
    copies: dict[str, int]

    @property
    def trouble(self) -> dict[str, dict[str, str]]:
        """All that must not be, by its kind; empty when every line is there once."""
        kinds = {"missing": self.missing, "twice": self.twice, "of another machine": self.astray}
        return {kind: found for kind, found in kinds.items() if found}


def tally(entries: Iterable[LogEntry], written: dict[str, Sequence[str]]) -> Tally:
    """Compare what lies in the store with what each source has written, text by text."""
    seen: Counter[tuple[str, str]] = Counter()
    copies: Counter[str] = Counter()
    for entry in entries:
        seen[(entry.source, entry.text)] += 1
        if entry.copies > 1:
            copies[entry.source] += entry.copies - 1
    wanted = {(source, text) for source, texts in written.items() for text in texts}
    return Tally(
        missing=_by_source(sorted(wanted - {*seen})),
        twice=_by_source(sorted(key for key, number in seen.items() if number > 1)),
        astray=_by_source(sorted({*seen} - wanted)),
        copies=dict(copies),
    )


def _by_source(found: Sequence[tuple[str, str]]) -> dict[str, str]:
    """How many of each source, with the first of them."""
    numbers = Counter(source for source, _ in found)
    firsts = dict(reversed(found))
    return {
        source or "nobody": f"{number}, first {_short(firsts[source])!r}"
        for source, number in numbers.items()
    }


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
