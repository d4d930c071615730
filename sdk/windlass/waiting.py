"""Owns the end of waiting: all answers there, or the caller's patience over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from windlass.exceptions import ResultTimeout

if TYPE_CHECKING:
    from windlass.transport.call import Pending
    from windlass.transport.session import ClientSession


def wait_for(session: ClientSession, items: list[Pending], timeout: float | None) -> list[Any]:
    """Block until all of a call's answers are there. Raises ResultTimeout."""
    if not items:
        return []
    try:
        in_time = items[0].call.wait(timeout)
    except BaseException:  # Ctrl-C: nobody waits any more
        session.forget(items)
        raise
    return _answers(session, items, timeout, in_time=in_time)


async def aio_wait_for(session: ClientSession, items: list[Pending], timeout: float | None) -> list[Any]:
    """Do as `wait_for`, on the loop."""
    if not items:
        return []
    try:
        in_time = await items[0].call.aio_wait(timeout)
    except asyncio.CancelledError:
        session.forget(items)
        raise
    return _answers(session, items, timeout, in_time=in_time)


def _answers(session: ClientSession, items: list[Pending], timeout: float | None, *, in_time: bool) -> list[Any]:
    call = items[0].call
    if not in_time:
        session.forget(items)
        raise _timed_out(items, timeout)
    if call.remaining:
        session.forget(items)
    return call.answers


def _timed_out(items: list[Pending], timeout: float | None) -> ResultTimeout:
    first = next((item for item in items if not item.answered), items[0])
    accepted = all(item.accepted for item in items)
    what = f"run {first.run_id} has" if len(items) == 1 else f"{items[0].call.remaining} of {len(items)} runs have"
    if accepted:
        said = f"{what} not ended within {timeout} s; the run goes on"
    else:
        said = f"{what} not been acknowledged within {timeout} s: the api may be away, and may or may not have it"
    return ResultTimeout(said, run_id=first.run_id, acknowledged=accepted)
