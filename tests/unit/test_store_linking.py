"""A script and its includes become one text, in a form of which a call costs little."""

from __future__ import annotations

import re

import pytest

from windlass_core.store.linking import linked, with_keys
from windlass_core.store.scripts import script_names, script_text


def test_includes_stand_in_functions_within_each_other() -> None:
    """A new one begins with the fifth; the script itself is in the innermost."""
    names = [f"part{place}" for place in range(9)]
    script = "#!lua\n" + "".join(f"--!include {name}\n" for name in names) + "return 1\n"
    begin, end = "return (function()\n", "end)()\n"
    parts = [f"local {name} = 1\n" for name in names]
    held = [*parts[:4], begin, *parts[4:8], begin, parts[8]]
    assert linked(script, lambda name: f"local {name} = 1\n") == "#!lua\n" + "".join(held) + "return 1\n" + end * 2


@pytest.mark.parametrize("includes", [0, 1, 4])
def test_a_script_with_few_includes_has_no_function_round_it(includes: int) -> None:
    """There is nothing to gain."""
    script = "#!lua\n" + "--!include part\n" * includes + "return 1\n"
    assert linked(script, lambda _: "") == "#!lua\nreturn 1\n"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("K.timers()", "(P .. 'T')"),
        ("K.run(run)", "(P .. 'r:' .. (run))"),
        ("K.run(a or b)", "(P .. 'r:' .. (a or b))"),
        ("K.heads(of(group, 1), level)", "(P .. 'H:' .. (of(group, 1)) .. '/' .. (level))"),
        ("f(K.lane(q), K.run(x[1]), 2)", "f((P .. 'q:' .. (q)), (P .. 'r:' .. (x[1])), 2)"),
    ],
)
def test_a_key_is_put_in_where_it_is_named(written: str, key: str) -> None:
    """With its parts, whatever expressions they are."""
    assert with_keys(written) == key


def test_a_key_that_is_not_in_the_table_is_a_mistake() -> None:
    """And so are parts too many or too few."""
    with pytest.raises(KeyError):
        with_keys("K.nothing(run)")
    with pytest.raises(ValueError, match="argument 2"):
        with_keys("K.ring(flow)")
    with pytest.raises(ValueError, match="argument 2"):
        with_keys("K.run(run, 1)")


@pytest.mark.parametrize("name", script_names())
def test_all_keys_of_a_script_are_put_in(name: str) -> None:
    """None is taken for a value, nor made of a call of a call."""
    code = re.sub(r"--[^\n]*", "", script_text(name))
    assert not re.findall(r"\bK\b", code)
