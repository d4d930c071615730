"""Scripts leave out what they do not use."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from windlass_core.store.pruning import without_unused
from windlass_core.store.scripts import script_names, script_text

_TEXT = """#!lua
-- Purpose: an example, which never_called mentions
local function deep(run) return run end
local function gone(run) return run end
-- It calls never_called in its comment only.
local function used(run)
  local function inner() return deep(run) end
  return inner()
end
local function never_called(run)
  if run then
    return never_called(gone(run))
  end
end
local by_kind = {}
function by_kind.a(run) return used(run) end
return by_kind[ARGV[1]](K.gone('x'))
"""


def test_what_nothing_reaches_is_left_out() -> None:
    """Also what only itself, a comment or a key names; what is reached by way of others stays."""
    left = without_unused(_TEXT)
    assert re.findall(r"function ([\w.]+)", left) == ["deep", "used", "inner", "by_kind.a"]
    assert without_unused(left) == left


@pytest.mark.parametrize("name", script_names())
def test_every_name_of_a_script_that_it_uses_is_there(name: str) -> None:
    """What is called and not made in the script is Lua's own, or the store's."""
    code = re.sub(r"--[^\n]*", "", script_text(name))
    code = re.sub(r"'[^'\n]*'", "''", code)
    called = set(re.findall(r"(?<![\w.])([A-Za-z_]\w*) ?\(", code))
    made = set(re.findall(r"local function (\w+)", code)) | set(re.findall(r"[\w.]+", " ".join(_locals(code))))
    lua = {
        "and",
        "or",
        "not",
        "if",
        "elseif",
        "while",
        "then",
        "for",
        "in",
        "do",
        "until",
        "return",
        "function",
        "ipairs",
        "pairs",
        "unpack",
        "tonumber",
        "tostring",
        "select",
    }
    assert called - made - lua - {"next", "type", "setmetatable", "error", "assert", "pcall"} == set()


def _locals(code: str) -> list[str]:
    return re.findall(r"(?:local|for) ([\w, ]+)", code) + re.findall(r"function[^(]*\(([^)]*)\)", code)


def test_every_function_that_is_written_is_used_somewhere() -> None:
    """Leaving it out of every script would hide that nobody needs it."""
    lua = files("windlass_core.store") / "lua"
    written = {
        name
        for entry in lua.iterdir()
        for name in re.findall(r"^local function (\w+)", entry.read_text(), re.MULTILINE)
    }
    kept = {name for script in script_names() for name in re.findall(r"local function (\w+)", script_text(script))}
    assert written - kept == set()
