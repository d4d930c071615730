"""Owns how a length of time may be written wherever the SDK takes one. Knows nothing of clocks."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

#: timedelta, seconds, "5m" / "1h30m" / "250ms", or ISO 8601 ("PT5M") without years and months.
type_names: Final = 'a timedelta, seconds, "5m", "1h30m" or ISO 8601 without years and months ("PT5M")'

Duration = timedelta | float | str

_UNITS_MS: Final = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0, "w": 604_800_000.0}
_NUMBER: Final = r"\d+(?:[.,]\d+)?"
_SHORT: Final = re.compile(rf"({_NUMBER})\s*(ms|[smhdw])", re.IGNORECASE)
_SHORT_ALL: Final = re.compile(rf"(?:{_NUMBER}\s*(?:ms|[smhdw])\s*)+", re.IGNORECASE)
_ISO: Final = re.compile(
    rf"P(?:(?P<w>{_NUMBER})W)?(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?",
    re.IGNORECASE,
)
_LONGEST_MS: Final = 2**53
_LONGEST_KEPT_MS: Final = 366 * 86_400_000


def to_milliseconds(value: Duration, name: str) -> int:
    """Read `value`, the setting or parameter `name`, as whole milliseconds.

    Anything above zero counts as at least one millisecond.

    Raises:
        ValueError: it is negative, not finite, or not a length of time.
        TypeError: it is of another type.

    """
    exact = _exact_ms(value, name)
    if not math.isfinite(exact) or exact < 0 or exact > _LONGEST_MS:
        msg = f"{name}={value!r}: a length of time from 0 up was expected"
        raise ValueError(msg)
    return max(round(exact), 1) if exact > 0 else 0


def to_kept_milliseconds(value: Duration, name: str) -> int:
    """Read `value` as `to_milliseconds` does, for what the engine keeps: at most 366 days.

    Raises:
        ValueError: it is negative, longer, or not a length of time.
        TypeError: it is of another type.

    """
    milliseconds = to_milliseconds(value, name)
    if milliseconds > _LONGEST_KEPT_MS:
        msg = f"{name}={value!r}: at most 366 days were expected"
        raise ValueError(msg)
    return milliseconds


def _exact_ms(value: Duration, name: str) -> float:
    match value:
        case bool():
            pass
        case timedelta():
            return value / timedelta(milliseconds=1)
        case int() | float():
            return value * 1000.0
        case str():
            return _read_text(value, name)
    msg = f"{name} takes {type_names}, not {type(value).__name__}"
    raise TypeError(msg)


def _read_text(text: str, name: str) -> float:
    stripped = text.strip()
    if re.fullmatch(_NUMBER, stripped):
        return _float(stripped) * 1000.0
    if _SHORT_ALL.fullmatch(stripped):
        return sum(_float(number) * _UNITS_MS[unit.lower()] for number, unit in _SHORT.findall(stripped))
    iso = _ISO.fullmatch(stripped)
    if iso is not None and any(iso.groupdict().values()) and not stripped.upper().endswith("T"):
        return sum(_float(number) * _UNITS_MS[unit] for unit, number in iso.groupdict().items() if number)
    years = re.match(r"P[^T]*\d[YM]", stripped, re.IGNORECASE)
    why = "years and months have no fixed length; " if years else ""
    msg = f"{name}={text!r}: {why}expected {type_names}"
    raise ValueError(msg)


def _float(text: str) -> float:
    return float(text.replace(",", "."))
