"""Owns what the SDK checks of a CEL expression; what it means is the engine's, at registration."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 1000


def check_expression(text: object, name: str) -> str:
    """Give the expression back.

    Raises:
        TypeError: it is no string.
        ValueError: it is empty or over 1,000 characters.

    """
    if not isinstance(text, str):
        msg = f"{name} takes a CEL expression over input and metadata, not {text!r}"
        raise TypeError(msg)
    if not text.strip() or len(text) > _LONGEST:
        msg = f"{name}: a CEL expression of 1 to {_LONGEST:,} characters was expected, not {text[:40]!r}"
        raise ValueError(msg)
    return text
