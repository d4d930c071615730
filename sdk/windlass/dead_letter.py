"""Owns `app.dead_letter`: runs that ended FAILED; look at them, try them again, delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.bulk import DELETE, REPLAY, BulkResult, RunFilter, list_runs
from windlass.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from windlass.transport.session import Api, ClientSession


class DeadLetterClient:
    """Runs that ended FAILED, also those that crashed too often. Every method has an `aio_` twin."""

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def list(self, filters: RunFilter | None = None, *, limit: int = 50) -> Runs:
        """Give failed runs, the latest failure first, each with its last error.

        Args:
            filters: only those that it means; its times are those of the failures.
            limit: at most so many.

        """
        return self._session.run_sync(
            "dead_letter.list", "dead_letter.aio_list", lambda api: self._list(api, filters, limit)
        )

    async def aio_list(self, filters: RunFilter | None = None, *, limit: int = 50) -> Runs:
        """Do as `list`."""
        return await self._session.run_async(lambda api: self._list(api, filters, limit))

    def retry(self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None) -> BulkResult:
        """Replay failed runs: under their own ids, as they were submitted.

        Args:
            run_ids: these, of any number.
            filters: in place of ids: all that it means.

        Returns:
            Outcomes "replayed", "already_replayed", "not_ended", "not_failed", "key_taken" or "unknown_run";
            "key_taken" where another run has its idempotency key until its end.

        Raises:
            InvalidInput: neither, or a filter without any condition and without `all=True`.

        """
        return self._session.run_sync(
            "dead_letter.retry",
            "dead_letter.aio_retry",
            lambda api: REPLAY.to(self._session, api, run_ids, filters, dead_letter=True),
        )

    async def aio_retry(self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None) -> BulkResult:
        """Do as `retry`."""
        return await self._session.run_async(
            lambda api: REPLAY.to(self._session, api, run_ids, filters, dead_letter=True)
        )

    def delete(self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None) -> BulkResult:
        """Delete failed runs with all that belongs to them. Takes and raises what `retry` does.

        Returns:
            Outcomes "deleted", "not_failed" or "unknown_run".

        """
        return self._session.run_sync(
            "dead_letter.delete",
            "dead_letter.aio_delete",
            lambda api: DELETE.to(self._session, api, run_ids, filters),
        )

    async def aio_delete(self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None) -> BulkResult:
        """Do as `delete`."""
        return await self._session.run_async(lambda api: DELETE.to(self._session, api, run_ids, filters))

    async def _list(self, api: Api, wanted: RunFilter | None, limit: int) -> Runs:
        found = await list_runs(self._session, api, wanted or RunFilter(), limit, dead_letter=True)
        return [*map(Run.from_proto, found)]


Runs = list[Run]
