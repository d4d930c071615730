"""Owns pages of lists: how large one is, where it begins, and the token of the one after it."""

from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_ITEMS_PER_MESSAGE

DEFAULT_PAGE = 100
# Where each item comes with its input or output.
DEFAULT_RUNS_PAGE = 50
# As many as a time in milliseconds, or a place, ever has.
_PLACE_DIGITS = 15

#: A time in milliseconds and a run: what comes after it is older.
Place: TypeAlias = tuple[int, str]

T = TypeVar("T")


def page_size(asked: int, default: int = DEFAULT_PAGE) -> int:
    """How many to return. Raises InvalidField for more than 1,000."""
    if asked > MAX_ITEMS_PER_MESSAGE:
        raise InvalidField(f"page_size: expected at most {MAX_ITEMS_PER_MESSAGE}, got {asked}", "page_size")
    return asked or default


def page_by_name(items: Iterable[T], name: Callable[[T], str], asked: int, token: str) -> tuple[list[T], str]:
    """A page of what is sorted by its names, each of which is the token of what comes after it; and the next token.

    Raises InvalidField as `page_size` does.
    """
    most = page_size(asked)
    after = [item for item in items if name(item) > token]
    return after[:most], name(after[most - 1]) if len(after) > most else ""


def token_of(after: Place | None) -> str:
    """A page's token; empty for the last one's."""
    return f"{after[0]}:{after[1]}" if after else ""


def read_token(token: str) -> Place:
    """A page's token. Raises InvalidField for what can't be one."""
    ms, _, run_id = token.partition(":")
    if not run_id:
        raise wrong_token()
    return read_place(ms), run_id


def read_place(token: str) -> int:
    """A page token that is a number. Raises InvalidField for what can't be one."""
    if not (token.isascii() and token.isdecimal() and len(token) <= _PLACE_DIGITS):
        raise wrong_token()
    return int(token)


def wrong_token() -> InvalidField:
    """What to raise for a page token that can't be one."""
    return InvalidField("page_token: expected a next_page_token as it was given", "page_token")
