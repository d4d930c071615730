"""Expressions over a submission: what one may be, what it gives, and that none takes long."""

from __future__ import annotations

from typing import Any

import pytest

from windlass_core.domain.errors import InvalidField
from windlass_core.domain.expression import MAX_EXPRESSION_CHARACTERS, Expression, Scope, check_expression

INPUT = {
    "user": {"id": 7, "name": "é"},
    "tags": ["a", "b"],
    "share": 2.5,
    "whole": 3.0,
    "on": True,
    "none": None,
    "large": 2**63,
}


def _expression(text: str) -> Expression:
    return check_expression(text, "w.key", "a key of 'a'")


def _scope(given: Any = None, metadata: Any = None) -> Scope:
    return Scope(INPUT if given is None else given, metadata or {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'all'", "all"),
        ("1", "1"),
        ("input.user.id", "7"),
        ("input.user.name", "é"),
        ("input.share", "2.5"),
        ("input.whole", "3"),
        ("input.large", str(2**63)),
        ("input.on", "true"),
        ("input.user.id > 7", "false"),
        ("'b' in input.tags", "true"),
        ("input.tags[0] + '/' + metadata.team", "a/x"),
        ("'user:' + string(input.user.id)", "user:7"),
        ("has(input.shop) ? input.shop : 'none'", "none"),
        ("input['user']['name'].size()", "1"),
    ],
)
def test_an_expression_gives_text(text: str, value: str) -> None:
    """Strings as they are, numbers and booleans as JSON writes them."""
    assert _expression(text).text_of(_scope(metadata={"team": "x"}), "runs[0].spec") == value


def test_equal_numbers_are_one_key() -> None:
    """What is 3.0 in one language's JSON is 3 in another's."""
    key = _expression("input.n")
    assert {key.text_of(_scope({"n": n}), "f") for n in (3, 3.0)} == {"3"}


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("input.none", "gave null"),
        ("input.tags", "gave a list"),
        ("input.user", "gave a map"),
        ("input.nope", 'Key not found in map : "nope"'),
        ("input.user.id / 0", "divide by zero"),
        ("input.share / 0.0", "gave inf"),
        ("input.user.id + 'x'", "No matching overloads"),
        ("input.tags[9]", "index"),
    ],
)
def test_what_is_no_key_is_refused_with_the_expression(text: str, came: str) -> None:
    """The error names the field, the expression, whose it is, what came and what was expected."""
    with pytest.raises(InvalidField) as raised:
        _expression(text).text_of(_scope(), "runs[2].spec")
    assert raised.value.field == "runs[2].spec"
    for part in (f"runs[2].spec: `{text}`", "a key of 'a'", came, "expected a string, a number or a boolean"):
        assert part in str(raised.value)


def test_numbers_beyond_64_bits_are_refused() -> None:
    """CEL has none, wherever in the input they stand."""
    with pytest.raises(InvalidField, match="out of range"):
        _expression("input.a").text_of(_scope({"a": 1, "b": 2**64}), "f")


@pytest.mark.parametrize("given", [None, 5, "text", [1, 2]])
def test_an_input_need_not_be_an_object(given: Any) -> None:
    """A constant asks nothing of it, and a field that is not there is an error like any other."""
    scope = Scope(given, {})
    assert _expression("'all'").text_of(scope, "f") == "all"
    with pytest.raises(InvalidField):
        _expression("input.user").text_of(scope, "f")


@pytest.mark.parametrize(("text", "units"), [("input.user.id", 7), ("input.whole", 3), ("0", 0), ("3u", 3)])
def test_whole_numbers(text: str, units: int) -> None:
    """From 0 up, also as 3.0."""
    assert _expression(text).whole_of(_scope(), "f") == units


@pytest.mark.parametrize("text", ["input.share", "-1", "input.user.name", "input.on", "'3'"])
def test_other_values_are_no_whole_numbers(text: str) -> None:
    """Named with what came."""
    with pytest.raises(InvalidField, match="expected a whole number from 0 up"):
        _expression(text).whole_of(_scope(), "f")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "got nothing"),
        (" \n", "got nothing"),
        ("input[", "Syntax error"),
        ("inptu.user", "undeclared reference to 'inptu"),
        ("'a' * 3", "no matching overload"),
        ("[1, 2]", "gives a list"),
        ("{'a': 1}", "gives a map"),
        ("null", "gives null"),
        ("duration('1s')", "gives a duration"),
        ("input.tags.all(t, t == 'a')", "without loops"),
        ("input.tags.exists(t, t == 'a')", "without loops"),
        ("input.tags.exists_one(t, t == 'a')", "without loops"),
        ("input.tags.map(t, t + t).size()", "without loops"),
        ("input.tags.filter(t, t == 'a').size()", "without loops"),
        ("input.user.name.matches('a+')", "undeclared reference to 'matches'"),
        ("'" + "x" * MAX_EXPRESSION_CHARACTERS + "'", "at most 1000 characters"),
        ("1" + "+1" * 400, "recursion"),
    ],
)
def test_what_can_be_no_key_is_refused_when_it_is_defined(text: str, why: str) -> None:
    """With the path in the definition; what takes time or memory beyond its length is not in the language."""
    with pytest.raises(InvalidField) as raised:
        _expression(text)
    assert raised.value.field == "w.key"
    assert why in str(raised.value)


def test_a_syntax_error_says_where_and_whose() -> None:
    """In one line, without what the library draws."""
    with pytest.raises(InvalidField) as raised:
        _expression("input.user ==\n  && 1")
    said = str(raised.value)
    assert "`input.user ==\n  && 1`, a key of 'a': at 2:3: Syntax error: " in said
    assert "<input>" not in said
