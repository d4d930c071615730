"""Owns what the engine makes of a trace context that came with a run: whether anybody records it."""

import re

# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, span, flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1
_NOT_SAMPLED = "-00"  # as all write it: nearly every run has it, and most of the rest have nothing


def recorded(traceparent: str) -> str:
    """The traceparent where its trace is recorded; empty where it isn't, or where it is none."""
    if not traceparent or traceparent.endswith(_NOT_SAMPLED):
        return ""
    found = _TRACEPARENT.fullmatch(traceparent)
    return traceparent if found and int(found[1], 16) & _SAMPLED else ""
