"""YAML 1.2 into plain data, with the line of every value.

The parser's events are read one by one, so nothing recurses and a bomb stops at a limit instead of filling
the memory. What a plain word means is decided here and nowhere else: decimal numbers, true, false and null;
everything that YAML 1.1 or another reader would take for something else (010, 0x1F, 1:30, no, 1_000) stays
the text that was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from lab.inventory.doubts import doubts
from lab.inventory.problems import Loc, Problem, TextMark

Event = Any
"""ruamel.yaml's event classes carry no types."""
MAX_DEPTH = 20
"""An inventory is six levels deep."""
MAX_NODES = 60_000
"""1,000 machines with every field written are 30,000 values; an alias counts as written out."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]{0,18})(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][-+]?[0-9]{1,2})?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: value for value in (True, False) for word in (str(value).lower(), str(value), str(value).upper())
}
_HINTS = (
    ("\\t", "indent with spaces; a tab cannot start a line in YAML"),
    ("mapping values are not allowed", "a second colon on one line: put the value in quotes"),
    ("cannot start any token", "put the value in quotes"),
    ("expected the node content", "a bracket, brace or quote is open or missing"),
    ("expected ',' or", "a comma, bracket or brace is missing"),
    ("while scanning a quoted scalar", "close the quote"),
)


class Unreadable(Exception):
    """Nothing after this point of the file can be trusted."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.rule)
        self.problem = problem


@dataclass
class Document:
    """The data of a file, the mark of every path, and what was refused on the way."""

    data: Any = None
    marks: dict[Loc, TextMark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubts: list[Problem] = field(default_factory=list)
    """Values that YAML reads otherwise than they look: empty, or cut by a comment."""


@dataclass
class _Frame:
    """An open list or mapping. `path` is None inside a value that is thrown away."""

    path: Loc | None
    items: dict[str, Any] | list[Any]
    key: str | None = None
    key_line: int = 0
    key_end: Event = None
    """The parser's mark behind the key."""
    repeated: bool = False
    anchor: str | None = None
    record: list[Event] | None = None
    """The events of an anchored value so far, for its aliases."""


def read(text: str) -> Document:
    """The one document of a text.

    Raises `Unreadable` for what is not YAML, has more than one document, or is deeper or longer than the
    limits; repeated keys and tags are collected in `problems`.
    """
    builder = _Builder(text)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        raise _unreadable(error, text) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        # ruamel hands out the character as text or as number, depending on the stream
        code = error.character if isinstance(error.character, int) else ord(error.character)
        rule = f"is not YAML: the character {code:#06x} is not allowed in text"
        raise _stop(line, rule, "remove the control character") from None
    except (YAMLError, ValueError, OverflowError) as error:
        # ruamel lets chr() and int() speak for impossible escapes such as "\UFFFFFFFF"
        raise _stop(1, f"is not YAML: {' '.join(str(error).split())}", "correct the file") from None
    return builder.document


class _Builder:
    """Puts events together to plain data."""

    def __init__(self, text: str) -> None:
        self.document = Document()
        self.text = text
        self.stack: list[_Frame] = []
        self.nodes = 0
        self.started = False
        self.anchors: dict[str, list[Event]] = {}

    def take(self, event: Event, replayed: bool = False) -> None:
        """Use one event; an alias uses the events of its anchor again."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, events.DocumentStartEvent):
            self._start(event, line)
        elif isinstance(event, events.AliasEvent):
            self._alias(event.anchor, line)
        else:
            for frame in self.stack:
                if frame.record is not None:
                    frame.record.append(event)
            if isinstance(event, events.MappingEndEvent | events.SequenceEndEvent):
                frame = self.stack.pop()
                if frame.anchor and frame.record:
                    self.anchors[frame.anchor] = frame.record
            elif isinstance(event, events.NodeEvent):
                self._node(event, line, replayed)

    def _node(self, event: Event, line: int, replayed: bool) -> None:
        anchor = None if replayed else event.anchor
        self.nodes += 1
        if self.nodes > MAX_NODES:
            rule = f"has more than {MAX_NODES} values, aliases counted as written out"
            raise _stop(line, rule, "an inventory is one lab: split it, or remove the aliases")
        if event.tag:
            path, _ = self._place()
            rule, fix = f"has the tag {event.tag}", "an inventory needs no tags: remove it"
            self.document.problems.append(Problem(path or (), rule, fix, line=line))
        if not isinstance(event, events.ScalarEvent):
            self._open(event, line, anchor)
            return
        if anchor:
            self.anchors[anchor] = [event]
        self._scalar(event, line, replayed)

    def _start(self, event: Event, line: int) -> None:
        if self.started:
            raise _stop(line, "a second document starts here", "one file is one lab: split it")
        if event.version and tuple(event.version) != (1, 2):
            version = ".".join(str(part) for part in event.version)
            raise _stop(line, f"asks for YAML {version}", "inventories are YAML 1.2: remove it")
        self.started = True

    def _alias(self, name: str, line: int) -> None:
        if name not in self.anchors or any(frame.anchor == name for frame in self.stack):
            rule = f"the alias *{name} is used inside itself or before its anchor"
            raise _stop(line, rule, "write the value out")
        for event in self.anchors[name]:
            self.take(event, replayed=True)

    def _place(self) -> tuple[Loc | None, int]:
        """Where the next value belongs, and the line of its key (0: none)."""
        if not self.stack:
            return (), 0
        frame = self.stack[-1]
        if frame.path is None or frame.repeated:
            return None, 0
        if isinstance(frame.items, list):
            return (*frame.path, len(frame.items)), 0
        return (*frame.path, frame.key) if frame.key is not None else frame.path, frame.key_line

    def _scalar(self, event: Event, line: int, replayed: bool) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame and isinstance(frame.items, dict) and frame.key is None:
            frame.key_end = event.end_mark
            self._key(frame, event.value, line)
            return
        plain = event.implicit[0] and event.style in (None, "")
        written = f'"{event.value}"' if event.style in ("'", '"') else event.value
        value = meaning(event.value) if plain else event.value
        path = self._put(value, line, written)
        if plain and path and not replayed:
            # the parser puts the end of an empty value where the next thing begins
            of_key = frame is not None and isinstance(frame.items, dict) and not event.value
            end = frame.key_end if frame and of_key else event.end_mark
            self.document.doubts += doubts(path, event.value, value, self.text, end.index)

    def _key(self, frame: _Frame, key: str, line: int) -> None:
        frame.key, frame.key_line = key, line
        frame.repeated = key in frame.items
        if frame.repeated and frame.path is not None:
            first = self.document.marks[(*frame.path, key)].line
            rule = f"this key stands twice, on lines {first} and {line}"
            problem = Problem((*frame.path, key), rule, "remove one of them", value="", line=line)
            self.document.problems.append(problem)

    def _open(self, event: Event, line: int, anchor: str | None) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _stop(line, f"is nested deeper than {MAX_DEPTH} levels", "correct the file")
        items: dict[str, Any] | list[Any] = {} if isinstance(event, events.MappingStartEvent) else []
        frame = self.stack[-1] if self.stack else None
        if frame and isinstance(frame.items, dict) and frame.key is None:
            raise _stop(line, "a list or mapping is used as a key", "write a name")
        path = self._put(items, line, "")
        self.stack.append(_Frame(path, items, anchor=anchor, record=[event] if anchor else None))

    def _put(self, value: Any, line: int, text: str) -> Loc | None:
        path, key_line = self._place()
        if path is not None:
            self.document.marks[path] = TextMark(key_line or line, text)
        if not self.stack:
            self.document.data = value
            return path
        frame = self.stack[-1]
        if isinstance(frame.items, list):
            frame.items.append(value)
        else:
            if frame.key is not None and not frame.repeated:
                frame.items[frame.key] = value
            frame.key, frame.repeated = None, False
        return path


def meaning(text: str) -> str | int | float | bool | None:
    """What a plain word stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _stop(line: int, rule: str, fix: str) -> Unreadable:
    return Unreadable(Problem((), rule, fix, line=line))


def _unreadable(error: MarkedYAMLError, text: str) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    said = " ".join(part for part in (error.context, error.problem) if part)
    lines = text.splitlines()
    tabs = any("\t" in part[: len(part) - len(part.lstrip())] for part in lines[max(0, line - 2) : line])
    hint = next(
        (fix for sign, fix in _HINTS if sign in said or (sign == "\\t" and tabs)), "correct this line"
    )
    start = error.context_mark
    if start and start.line + 1 != line:
        hint += f" (it starts on line {start.line + 1})"
    return _stop(line, f"is not YAML: {said}", hint)
