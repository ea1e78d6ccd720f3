"""YAML 1.2 into plain data: what words mean, where values stand, and where reading stops."""

from __future__ import annotations

from typing import Any

import pytest

from lab.inventory import document
from lab.inventory.document import MAX_DEPTH, MAX_NODES, Unreadable
from lab.inventory.problems import TextMark, dotted


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1.30", 1.3),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        # text in YAML 1.2, something else to other readers
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("010", "010"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("52:54:00:12:34:56", "52:54:00:12:34:56"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-10-31", "2026-10-31"),
        ("1.31.0", "1.31.0"),
        ("123456.1234567890123456", 123456.1234567890123456),
        ("9" * 5000, "9" * 5000),
        (".", "."),
        ("e1", "e1"),
        ("٣", "٣"),
    ],
)
def test_a_plain_word_has_one_meaning(word: str, value: object) -> None:
    data = document.read(f"key: {word}\n").data
    assert data == {"key": value}
    assert type(data["key"]) is type(value)


def test_quotes_make_text() -> None:
    assert document.read("a: '1'\nb: \"true\"\nc: |\n  5\n").data == {"a": "1", "b": "true", "c": "5\n"}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert document.read("1: a\nno: b\n~: c\ntrue: d\n").data == {"1": "a", "no": "b", "~": "c", "true": "d"}


def test_every_value_has_its_line_and_text() -> None:
    read = document.read('a:\n  - x\n  - {b: "y",\n     c: z}\n\nd: >-\n  e\n')
    assert read.marks == {
        (): TextMark(1),
        ("a",): TextMark(1),
        ("a", 0): TextMark(2, "x"),
        ("a", 1): TextMark(3),
        ("a", 1, "b"): TextMark(3, '"y"'),
        ("a", 1, "c"): TextMark(4, "z"),
        ("d",): TextMark(6, "e"),
    }


def test_an_alias_stands_for_its_value() -> None:
    read = document.read("a: &one {x: [1, &two 2]}\nb: *one\nc: *two\n")
    assert read.data == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}, "c": 2}
    assert read.marks["b", "x", 1] == TextMark(1, "2")


def test_an_anchor_may_be_defined_again_inside_itself() -> None:
    assert document.read("a: &x [&x 1]\nb: *x\n").data == {"a": [1], "b": [1]}


def test_of_two_equal_keys_the_first_counts_and_both_lines_are_told() -> None:
    read = document.read("a: 1\nb: 2\na: {c: 3, c: 4}\n")
    assert read.data == {"a": 1, "b": 2}
    assert [(problem.path, problem.line) for problem in read.problems] == [(("a",), 3)]
    assert "lines 1 and 3" in read.problems[0].rule


def bomb() -> str:
    """Nine aliases of nine aliases: 9^20 values in 20 lines."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 21)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 200_000, f"deeper than {MAX_DEPTH}"),
        ("- " * 200_000, f"deeper than {MAX_DEPTH}"),
        ("{a: " * 100_000, f"deeper than {MAX_DEPTH}"),
        ("{" * 100_000, "used as a key"),
        ("".join(" " * depth + "a:\n" for depth in range(500)), f"deeper than {MAX_DEPTH}"),
        (bomb(), f"more than {MAX_NODES} values"),
        ("a: &a [*a]", "used inside itself"),
        ("a: *b", "before its anchor"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("%YAML 1.1\n---\na: 1\n", "YAML 1.1"),
        ("a: \x07", "0x0007"),
        ('a: "\\UFFFFFFFF"', "is not YAML"),
        ('a: "open', "quoted scalar"),
        ("a: [1, 2", "is not YAML"),
        ("a:\n\t- 1\n", "cannot start any token"),
        ("a: b: c", "mapping values"),
        ("%" * 9, "is not YAML"),
        ("? [a]\n: b\n", "used as a key"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_reading_stops_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(Unreadable) as stopped:
        document.read(text)
    assert words in stopped.value.problem.rule
    assert stopped.value.problem.fix
    assert stopped.value.problem.line


def test_a_tab_is_called_a_tab() -> None:
    with pytest.raises(Unreadable) as stopped:
        document.read("a:\n\tb: 1\n")
    assert "spaces" in stopped.value.problem.fix
    assert stopped.value.problem.line == 2


def test_the_reason_names_the_line_where_an_open_quote_starts() -> None:
    with pytest.raises(Unreadable) as stopped:
        document.read('a: 1\nb: "open\nc: 2\n')
    assert "line 2" in stopped.value.problem.fix


def test_tags_are_refused_where_they_stand() -> None:
    read = document.read("a: 1\nb: !!python/object:os.system x\n")
    assert [(problem.path, problem.line) for problem in read.problems] == [(("b",), 2)]


def test_nothing_of_ruamel_decides_what_words_mean() -> None:
    data: Any = document.read("when: 2026-10-31 12:00:00\nmode: 0600\n").data
    assert data == {"when": "2026-10-31 12:00:00", "mode": "0600"}


def doubts(text: str) -> list[tuple[str, str, bool]]:
    """Place, beginning of the rule and whether it is only a warning, of each doubtful value."""
    return [(dotted(item.path), item.rule[:12], item.warning) for item in document.read(text).doubts]


def test_a_value_that_a_comment_cuts_is_doubted() -> None:
    assert doubts("password: abc #def\nplain: abc # def\nrule: abc ## def\nquoted: 'abc' #def\n") == [
        ("password", "ends before ", True)
    ]


@pytest.mark.parametrize("text", ["a#b", "'a #b'", '"a #b"', "5 #b", "true #b", "[a] #b", "|\n  x #b"])
def test_a_value_that_no_comment_can_cut_is_not_doubted(text: str) -> None:
    assert doubts(f"key: {text}\n") == []


def test_a_comment_in_the_place_of_a_value_is_doubted_and_an_empty_value_too() -> None:
    text = "taken: #x\nlist:\n  - #y\n  - z\nflow: {a: #b\n  }\nempty:\nexplained: # for later\nnull: ~ #x\n"
    assert doubts(text) == [
        ("taken", "is empty: to", False),
        ("list[0]", "is empty: to", False),
        ("flow.a", "is empty: to", False),
        ("empty", "is empty, as", True),
        ("explained", "is empty, as", True),
    ]


def test_a_doubtful_value_is_told_once_however_often_it_is_used() -> None:
    assert doubts("a: &x abc #def\nb: *x\nc: [*x, *x]\n") == [("a", "ends before ", True)]


def test_the_comment_itself_is_never_told() -> None:
    [problem] = document.read("password: abc #hunter2\n").doubts
    assert "hunter2" not in f"{problem.rule} {problem.fix} {problem.value}"
