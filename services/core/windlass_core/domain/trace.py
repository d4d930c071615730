"""Owns what the engine makes of a trace context that came with a run: whether anybody records it."""

import re

# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, span, flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1
# The last digit of the flags, which have others besides: 02 is a trace id that is random.
_LAST_FLAG = slice(54, 55)
_NOT_SAMPLED = "02468ace"


def recorded(traceparent: str) -> str:
    """The traceparent where its trace is recorded; empty where it isn't, or where it is none."""
    if traceparent[_LAST_FLAG] in _NOT_SAMPLED:  # nearly every run's, and so is one that isn't there
        return ""
    found = _TRACEPARENT.fullmatch(traceparent)
    return traceparent if found and int(found[1], 16) & _SAMPLED else ""
