"""Owns who follows which run: is told that it has moved, and looks for itself what is new.

Telling what is new would need as much room here as the slowest reader leaves unread.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from windlass_api.waiting import End, Waiting
from windlass_core.domain.errors import EngineError, StoreUnavailable, UnknownRun
from windlass_core.store.runs import Runs

_FOLLOWED_AT_ONCE = 500


class Follower:
    """One client's interest in some runs."""

    def __init__(self, namespace: str, run_ids: list[str]) -> None:
        self.namespace = namespace
        self.run_ids = run_ids
        self._moved = dict.fromkeys(run_ids)
        self._error: EngineError | None = None
        self._some = asyncio.Event()
        self._some.set()

    def move(self, run_id: str) -> None:
        """Something of the run is new."""
        self._moved[run_id] = None
        self._some.set()

    def on_end(self, end: End | None) -> None:
        """The run has ended, or the store has lost it."""
        if end is None:
            self.end(StoreUnavailable("the store has lost runs that are followed: ask for them again"))
        else:
            self.move(end.run_id)

    def end(self, error: EngineError) -> None:
        """Nothing more comes: `moved` raises this."""
        self._error = self._error or error
        self._some.set()

    async def moved(self) -> list[str]:
        """Waits for news; gives the runs to look at, all of them the first time."""
        await self._some.wait()
        if self._error is not None:
            raise self._error
        self._some.clear()
        moved, self._moved = self._moved, {}
        return list(moved)


class Following:
    """Followers by run, and the store's telling of this api."""

    def __init__(self, runs: Runs, inc: str, waiting: Waiting) -> None:
        self._runs = runs
        self._inc = inc
        self._waiting = waiting
        self._followers: dict[str, set[Follower]] = {}
        # What the store was asked last must be what holds.
        self._asking = asyncio.Lock()

    @asynccontextmanager
    async def follow(self, namespace: str, run_ids: list[str]) -> AsyncIterator[Follower]:
        """Follows runs for the length of a block. Raises UnknownRun, StoreUnavailable."""
        follower = Follower(namespace, run_ids)
        for run_id in run_ids:
            self._followers.setdefault(run_id, set()).add(follower)
            self._waiting.add(namespace, run_id, follower.on_end)
        try:
            async with self._asking:
                unknown = await self._runs.follow(namespace, self._inc, run_ids, follow=True)
            if unknown:
                raise UnknownRun(f"no run {', '.join(unknown[:3])}{' ...' if len(unknown) > 3 else ''}")  # noqa: PLR2004 — the number says it
            await self._waiting.watch(namespace, run_ids)
            yield follower
        finally:
            self._waiting.forget(namespace, run_ids, follower.on_end)
            await self._unfollow(follower)

    def moved(self, run_id: str) -> None:
        """The outbox told that a run has moved."""
        for follower in self._followers.get(run_id, ()):
            follower.move(run_id)

    def end(self, error: EngineError) -> None:
        """Ends all: the clients go on elsewhere."""
        self._each(lambda follower: follower.end(error))

    async def follow_all(self) -> None:
        """Entries of the outbox may have been lost: asks for all again, and has everybody look.

        Raises StoreUnavailable.
        """
        by_namespace: dict[str, dict[str, None]] = {}
        self._each(lambda each: by_namespace.setdefault(each.namespace, {}).update(dict.fromkeys(each.run_ids)))
        for namespace, runs in by_namespace.items():
            run_ids = list(runs)
            for first in range(0, len(run_ids), _FOLLOWED_AT_ONCE):
                async with self._asking:
                    page = run_ids[first : first + _FOLLOWED_AT_ONCE]
                    await self._runs.follow(namespace, self._inc, page, follow=True)
        for run_id in list(self._followers):
            self.moved(run_id)

    def _each(self, do: Callable[[Follower], object]) -> None:
        for follower in {each for followers in self._followers.values() for each in followers}:
            do(follower)

    async def _unfollow(self, follower: Follower) -> None:
        for run_id in follower.run_ids:
            followers = self._followers.get(run_id, set())
            followers.discard(follower)
            if not followers:
                self._followers.pop(run_id, None)
        async with self._asking:
            idle = [run_id for run_id in follower.run_ids if not self._is_followed(follower.namespace, run_id)]
            # Else a telling that nobody hears, until the run's retention is over.
            with suppress(StoreUnavailable):
                await self._runs.follow(follower.namespace, self._inc, idle, follow=False)

    def _is_followed(self, namespace: str, run_id: str) -> bool:
        """By others of the namespace: one of another is about to be refused, and keeps no mark."""
        return any(each.namespace == namespace for each in self._followers.get(run_id, ()))
