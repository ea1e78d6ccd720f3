"""Templates: an undefined name is an error, values keep their meaning for every YAML reader."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lab.errors import InputError
from lab.render.roles import TEMPLATES
from lab.render.templates import environment, quote, render, to_yaml

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TRAPS = [
    "0600",
    "0o600",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "null",
    "~",
    "true",
    "1:30",
    "52:54:00:12:34:56",
    "1.30",
    "1e3",
    "0x1F",
    "1_000",
    ".inf",
    "2024-01-01",
    "=",
    "<<",
    "",
    " ",
    "# no comment",
    "a: b",
    "- a",
    "{a}",
    "'",
    '"',
    "\\",
    "a\nb\n",
    "\t",
    "Büro €",
    "\x7f\x80\x85\u2028\u2029\ufeff",
    "😀",
    "{{ name }}",
]
"""C02 and the like: text that a YAML 1.1 or 1.2 reader takes for something else when it is not quoted."""


def yaml_1_2(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("value", TRAPS)
def test_c02_text_stays_text_for_both_generations_of_readers(value: str) -> None:
    assert yaml.safe_load(f"key: {quote(value)}") == {"key": value}
    assert yaml_1_2(f"key: {quote(value)}") == {"key": value}
    assert yaml.safe_load(to_yaml({"key": value})) == {"key": value}


@settings(deadline=None)
@given(value=ANY_TEXT)
def test_c02_any_text_stays_as_it_is(value: str) -> None:
    assert yaml.safe_load(f"key: {quote(value)}") == {"key": value}


@settings(deadline=None)
@given(
    value=st.recursive(
        st.one_of(st.booleans(), st.integers(), ANY_TEXT),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ANY_TEXT, inner, max_size=3)),
        max_leaves=8,
    )
)
def test_any_structure_stays_as_it_is(value: Any) -> None:
    assert yaml.safe_load(quote({"key": value})) == {"key": value}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        (("a", 1, IPv4Address("10.1.1.1")), '["a", 1, "10.1.1.1"]'),
        (IPv4Address("10.1.1.1"), '"10.1.1.1"'),
        (Path("/etc/x"), '"/etc/x"'),
        ([], "[]"),
        ((), "[]"),
        ({}, "{}"),
    ],
)
def test_a_value_is_written_as_json(value: object, text: str) -> None:
    assert quote(value) == text
    json.loads(quote(value))


def test_an_empty_mapping_leaves_no_line() -> None:
    assert to_yaml({}) == ""
    assert to_yaml({"b": 1, "a": {"c": "0600"}}) == "a:\n  c: '0600'\nb: 1"


def test_a_name_without_a_value_is_an_error_and_never_an_empty_text() -> None:
    with pytest.raises(InputError, match=r"^templates/\S+j2:\d+: 'instance_id' is undefined"):
        render("cloud-init/meta-data", name="m1")
    with pytest.raises(InputError, match="there is no such template"):
        render("no/such", name="m1")


def test_every_template_can_be_read() -> None:
    for path in TEMPLATES.rglob("*.j2"):
        if path.parent.name == "report":
            continue  # HTML, with an environment of its own
        environment().get_template(str(path.relative_to(TEMPLATES)))


def test_values_are_not_taken_for_templates() -> None:
    assert '"{{ 7 * 7 }}"' in render("cloud-init/meta-data", name="{{ 7 * 7 }}", instance_id="i")
