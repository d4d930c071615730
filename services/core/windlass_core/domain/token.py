"""Owns what a token looks like, and what is known of one: its id and its hash.

    wlt_ 43 characters out of 256 random bits, 6 characters of checksum

The prefix lets scanners find a token that leaked; the checksum tells a slip of the hand, and noise,
without asking the store. Neither the text nor any part of it is kept.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from typing import Final

from windlass_core.domain.access import Principal, Scope

PREFIX: Final = "wlt_"
SECRET_BYTES: Final = 32
#: A token that has ended is known for so long after, to tell "expired" from "unknown".
KEPT_MS: Final = 30 * 24 * 3600 * 1000

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_DIGITS: Final = 43
_CHECK_DIGITS: Final = 6
_TEXT: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_SECRET_DIGITS + _CHECK_DIGITS}}}", re.ASCII)
_ID: Final = re.compile(r"tk_[0-9a-f]{20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenName:
    """What a token's text is known by. `id` is public, `digest` is what the store compares."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as the store has it. Times in ms since 1970 UTC, 0 where there is none."""

    token_id: str
    digest: str
    namespace: str
    name: str
    scopes: frozenset[Scope]
    created_ms: int
    expires_ms: int
    revoked_ms: int

    @property
    def principal(self) -> Principal:
        """Who its bearer is."""
        return Principal(self.namespace, self.scopes, self.token_id)


def token_text(secret: bytes) -> str:
    """The token of 32 random bytes."""
    body = PREFIX + _base62(int.from_bytes(secret, "big"), _SECRET_DIGITS)
    return body + _check_digits(body)


def token_name(text: str) -> TokenName | None:
    """Id and digest of a token's text; None for what can't be one."""
    if not _TEXT.fullmatch(text) or _check_digits(text[:-_CHECK_DIGITS]) != text[-_CHECK_DIGITS:]:
        return None
    digest = hashlib.sha256(text.encode()).hexdigest()
    return TokenName(f"tk_{digest[:20]}", digest)


def is_token_id(text: str) -> bool:
    """Whether it looks like the id of a token."""
    return _ID.fullmatch(text) is not None


def _check_digits(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_DIGITS)


def _base62(value: int, width: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 62)
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, "0")
