"""Owns the minting of run ids: UUIDv7 in canonical text form, each greater than the one before.

RFC 9562, section 6.2, method 1: 48 bits of Unix milliseconds and 12 bits that count within one, then
62 random bits. Ids that grow keep the store's indexes quick, and runs in the order of their submits.
"""

from __future__ import annotations

import os
import time
from typing import Final

_BATCH: Final = 256
_BYTES: Final = 8
_random: list[str] = []
_last = 0


def mint() -> str:
    """Mint one id. From any thread: two at a time may swap their order, and never are the same."""
    global _last  # noqa: PLW0603 - the clock's last reading
    try:
        tail = _random.pop()
    except IndexError:
        tail = _refill()
    # More than 4,096 in a millisecond borrow from the next.
    _last = count = max(time.time_ns() // 1_000_000 << 12, _last + 1)
    return f"{count >> 28:08x}-{count >> 12 & 0xFFFF:04x}-7{count & 0xFFF:03x}-{tail}"


def _refill() -> str:
    pool = os.urandom(_BATCH * _BYTES).hex()
    fresh = []
    for start in range(0, len(pool), 2 * _BYTES):
        digits = pool[start : start + 2 * _BYTES]
        variant = "89ab"[int(digits[0], 16) & 3]
        fresh.append(f"{variant}{digits[1:4]}-{digits[4:]}")
    last = fresh.pop()
    _random.extend(fresh)
    return last


def _forget_after_fork() -> None:
    _random.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
