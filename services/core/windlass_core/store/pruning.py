"""Owns leaving out of a script what it does not use: a script makes all its functions anew at every call.

Knows Lua as far as it is written here: a function of the outermost level begins and ends at the margin.
"""

import re

_FUNCTION = re.compile(r"^local function (\w+)\((?:[^\n]* end|.*?\nend)$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^ *--[^\n]*", re.MULTILINE)
# What stands behind a dot is a field, or a key.
_NAME = re.compile(r"(?<![\w.])\w+")


def without_unused(text: str) -> str:
    """The script without the functions that nothing reaches from what it does by itself."""
    found = list(_FUNCTION.finditer(text))
    uses: dict[str, set[str]] = {}
    for function in found:
        uses.setdefault(function[1], set()).update(_names_in(function[0]))
    reached = _names_in(_FUNCTION.sub("", text))
    new = reached & uses.keys()
    while new:
        reached |= new
        new = set().union(*(uses[name] for name in new)) & uses.keys() - reached
    return _FUNCTION.sub(lambda function: function[0] if function[1] in reached else "", text)


def _names_in(code: str) -> set[str]:
    return set(_NAME.findall(_COMMENT.sub("", code)))
