"""Owns leaving out of a script what it does not use: a script makes all its functions anew at every call.

Knows Lua as far as it is written here: a function of the outermost level begins and ends at the margin.
"""

import re

_FUNCTION = re.compile(
    r"^(?:local function (\w+)|function (K\.\w+))\((?:[^\n]* end|.*?\nend)$", re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"^ *--[^\n]*", re.MULTILINE)
_NAME = re.compile(r"\bK\.\w+|\b\w+\b")


def without_unused(text: str) -> str:
    """The script without the functions that nothing reaches from what it does by itself."""
    found = list(_FUNCTION.finditer(text))
    uses: dict[str, set[str]] = {}
    for function in found:
        uses.setdefault(_name(function), set()).update(_names_in(function[0]))
    reached = _names_in(_FUNCTION.sub("", text))
    new = reached & uses.keys()
    while new:
        reached |= new
        new = set().union(*(uses[name] for name in new)) & uses.keys() - reached
    return _FUNCTION.sub(lambda function: function[0] if _name(function) in reached else "", text)


def _name(function: re.Match[str]) -> str:
    return function[1] or function[2]


def _names_in(code: str) -> set[str]:
    return set(_NAME.findall(_COMMENT.sub("", code)))
