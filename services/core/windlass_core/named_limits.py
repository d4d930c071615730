"""Owns the rate limits that definitions name, as far as a process has them at hand.

For a second at the most: one that somebody puts anew, or deletes, counts everywhere that soon.
"""

import time
from typing import Final, Protocol

from windlass_core.domain.definition import Definition
from windlass_core.domain.errors import InvalidField
from windlass_core.store.rate_limits import RateLimits
from windlass_core.store.runs import Submission

_AT_HAND_S: Final = 1.0


class Check(Protocol):
    """A submission that is to be checked."""

    def __call__(self, *, limits: dict[str, int]) -> Submission:
        """What the store takes; `limits` are units by name. Raises InvalidField."""
        ...


class NamedLimits:
    """Units per window by namespace and name."""

    def __init__(self, stored: RateLimits) -> None:
        self._stored = stored
        # With the time, on the monotonic clock, until which each is taken for true.
        self._at_hand: dict[tuple[str, str], tuple[float, int]] = {}

    async def check_with(self, namespace: str, definition: Definition, check: Check) -> Submission:
        """What `check` makes of the limits of a definition; what it refuses, the store's own limits refuse too.

        Raises InvalidField as `check` does, StoreUnavailable.
        """
        names = definition.named_limits
        if not names:
            return check(limits={})
        now = time.monotonic()
        known = [self._at_hand.get((namespace, name), (0.0, 0)) for name in names]
        if all(until > now for until, _ in known):
            try:
                return check(limits={name: limit for name, (_, limit) in zip(names, known, strict=True)})
            except InvalidField:
                pass  # perhaps there is more by now
        limits = await self._stored.limits(namespace, names)
        self._at_hand.update({(namespace, name): (now + _AT_HAND_S, limit) for name, limit in limits.items()})
        return check(limits=limits)
