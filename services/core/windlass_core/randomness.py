"""Owns what must not be guessed or repeat. Made here and passed to scripts: Lua's generator repeats."""

import os


def mint_ids(count: int) -> list[str]:
    """Random 128-bit ids as 32 hexadecimal digits: leases, sessions, incarnations."""
    digits = os.urandom(16 * count).hex()
    return [digits[i : i + 32] for i in range(0, 32 * count, 32)]


def mint_id() -> str:
    """One of them."""
    return os.urandom(16).hex()


def uniform() -> float:
    """Evenly drawn from [0, 1), with 53 bits."""
    return (int.from_bytes(os.urandom(7), "big") >> 3) / 2**53
