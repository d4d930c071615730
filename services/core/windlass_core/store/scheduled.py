"""Owns what can be done with scheduled runs before their time: listing, changing and deleting them."""

from typing import Literal, TypeAlias

from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.runs import Submission
from windlass_core.store.scripts import Scripts

Changed: TypeAlias = Literal["changed", "late", "stale", "unknown"]
Deleted: TypeAlias = Literal["deleted", "late", "unknown"]


class ScheduledRuns:
    """The runs of one shard that are still to come. Every method raises StoreUnavailable, `change` StoreFull."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def page(
        self, namespace: str, after: tuple[int, str] | None, since_ms: int, until_ms: int, count: int
    ) -> list[tuple[str, int]]:
        """Ids and times from `since_ms` up to `until_ms` (excluded; 0: to the last), after the given one."""
        key = self._keys.of("scheduled", ns=namespace)
        first = after[0] if after else since_ms
        last = f"({until_ms}" if until_ms else "+inf"
        skip = 0
        while True:
            command = ("ZRANGEBYSCORE", key, first, last, "WITHSCORES", "LIMIT", skip, count)
            found = iter(await self._reader.one(*command))
            pairs = [(run.decode(), int(ms)) for run, ms in zip(found, found, strict=True)]
            # Of one millisecond, ids come in rising order: drop those up to the given one.
            rest = [p for p in pairs if after is None or (p[1], p[0]) > after]
            if rest or len(pairs) < count:
                return rest
            skip += count

    async def change(self, namespace: str, before: bytes, run: Submission) -> Changed:
        """Puts another submission in the place of a scheduled run, which had the spec `before`."""
        told: Changed = (await self._scripts.call("scheduled_change", (namespace, before, run))).decode()
        return told

    async def delete(self, namespace: str, reason: str, run_ids: list[str]) -> list[Deleted]:
        """Cancels what is still to come."""
        outcomes = await self._scripts.call("scheduled_delete", (namespace, reason, run_ids))
        return [outcome.decode() for outcome in outcomes]
