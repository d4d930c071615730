"""Owns the decision which ticks of a cron are fired now, and which were missed. Times in milliseconds."""

from collections.abc import Callable
from dataclasses import dataclass

from windlass.v1 import workflow_pb2

# Later than this a tick was missed. Longer than another scheduler takes to take over, or a store to
# start again: what they bring late was not missed.
MISSED_AFTER_MS = 30_000
MAX_MADE_UP = 1_000


@dataclass(frozen=True, slots=True)
class Due:
    """What to do about a cron.

    `ticks` are to be fired, oldest first. Up to `settled_ms` nothing is to be fired any more after
    that. `made_up` is how many missed ticks of this outage have been fired. The cron is to be looked at
    again at `next_ms`; 0: never.
    """

    ticks: list[int]
    settled_ms: int
    made_up: int
    next_ms: int


def decide_ticks(
    next_tick: Callable[[int], int],
    *,
    settled_ms: int,
    made_up: int,
    now_ms: int,
    catch_up: int,
    room: int,
) -> Due:
    """What is due after `settled_ms`. `next_tick` gives the tick after a time, 0 where there is none.

    At most `room` ticks are fired; the rest is left, and due at once. `catch_up` is a
    windlass.v1.CatchUp and says what becomes of those that were missed.
    """
    missed_until = now_ms - MISSED_AFTER_MS
    ticks: list[int] = []
    tick = next_tick(settled_ms)
    if 0 < tick <= missed_until:
        match catch_up:
            case workflow_pb2.CATCH_UP_ALL:
                while 0 < tick <= missed_until and made_up < MAX_MADE_UP and len(ticks) < room:
                    ticks.append(tick)
                    made_up += 1
                    settled_ms, tick = tick, next_tick(tick)
                if made_up >= MAX_MADE_UP:
                    settled_ms, tick = missed_until, next_tick(missed_until)
            case workflow_pb2.CATCH_UP_ONE:
                last = _last_tick(next_tick, settled_ms, missed_until)
                ticks.append(last)
                settled_ms, tick = last, next_tick(last)
            case _:
                settled_ms, tick = missed_until, next_tick(missed_until)
    while 0 < tick <= now_ms and len(ticks) < room:
        ticks.append(tick)
        settled_ms, tick = tick, next_tick(tick)
    if tick > missed_until:
        made_up = 0
    return Due(ticks, settled_ms, made_up, tick)


def _last_tick(next_tick: Callable[[int], int], after_ms: int, until_ms: int) -> int:
    """The last tick up to a time; there is one after `after_ms`."""
    low, high = after_ms // 1000, until_ms // 1000 + 1
    while high - low > 1:
        middle = (low + high) // 2
        if 0 < next_tick(middle * 1000) <= until_ms:
            low = middle
        else:
            high = middle
    return next_tick(low * 1000)
