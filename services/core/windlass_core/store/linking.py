"""Owns making one Lua text of a script and what it includes, in a form of which a call costs little.

Lua makes all functions of a script anew at every call. What each uses of the function round it is looked for
among all that is used of that one; what that one has from further out is taken over without looking. So includes
stand in functions within each other, a few in each: in one function, looking would take half of an empty call.
Names of keys are put in where they are used: as functions they would be another third of what is made.
"""

import re
from collections.abc import Callable

from windlass_core.store.keys import lua_key

# A function may have 60 names from further out, and all that is used further in counts.
_TOGETHER = 4
_INCLUDE = re.compile(r"^--!include (\w+)\n", re.MULTILINE)
# K.family(parts); a part may be a call, but not one of a call.
_KEY = re.compile(r"\bK\.(\w+)\(((?:[^()]|\([^()]*\))*)\)")
_COMMA = re.compile(r", (?![^(]*\))")


def linked(script: str, read: Callable[[str], str]) -> str:
    """The script with its includes, which `read` gives by name, in functions within each other."""
    count = 0

    def put(include: re.Match[str]) -> str:
        nonlocal count
        begins = count > 0 and count % _TOGETHER == 0
        count += 1
        return ("return (function()\n" if begins else "") + read(include[1])

    text = _INCLUDE.sub(put, script)
    return text + "end)()\n" * ((count - 1) // _TOGETHER)


def with_keys(text: str) -> str:
    """The text with keys in place of K.family(parts)."""
    return _KEY.sub(lambda key: lua_key(key[1], _COMMA.split(key[2]) if key[2] else []), text)
