"""What attempts say and can't be stored costs no more than itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from windlass.v1 import dispatch_pb2, run_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.pump import Hold
from windlass_dispatcher import reports as module
from windlass_dispatcher.reports import Reports
from windlass_dispatcher.session import KeepLogs, KeepProgress

if TYPE_CHECKING:
    import pytest

    from windlass_core.store.shard import Shard

_NO_STREAM = cast("Any", None)


def _logs(count: int) -> KeepLogs:
    return KeepLogs([dispatch_pb2.TaskLog(run_id="r", lease_id="l", lines=[run_pb2.LogLine(message="m")])] * count)


def _progress(count: int) -> KeepProgress:
    return KeepProgress(
        [dispatch_pb2.TaskProgress(run_id="r", lease_id="l", progress=run_pb2.Progress(done=1))] * count
    )


async def test_a_full_store_is_not_waited_for(shard: Shard) -> None:
    """What attempts go on to log would gather here for ever."""
    reports = Reports(shard, DefinitionCache(shard.definitions), Hold(1024 * 1024))
    await shard.redis.config_set("maxmemory", 1)
    pumps = [asyncio.create_task(loop()) for loop in reports.loops()]
    try:
        reports.take(_NO_STREAM, _logs(500))
        reports.take(_NO_STREAM, _progress(500))
        async with asyncio.timeout(10):
            await reports.drained()
        assert reports._dropped_lines == 500
        assert not reports._talking
    finally:
        await shard.redis.config_set("maxmemory", 0)
        for pump in pumps:
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump


async def test_a_store_that_is_away_is_waited_for_with_a_bound(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is dropped."""
    monkeypatch.setattr(module, "MAX_WORDS_WAITING", 10)
    reports = Reports(shard, DefinitionCache(shard.definitions), Hold(1024 * 1024))
    for _ in range(5):
        reports.take(_NO_STREAM, _logs(4))
        reports.take(_NO_STREAM, _progress(4))
    assert (len(reports._logs), len(reports._progress)) == (12, 12)
    assert reports._dropped_lines == 8
