"""What is left in a store after the retention: nothing of runs, and the check itself sees what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis

from tests.support.leaks import leaks_after_retention
from tests.support.worker_thread import running_worker
from windlass import Context, Windlass
from windlass.exceptions import TaskRunError

if TYPE_CHECKING:
    from windlass.testing import Engine


def test_runs_leave_nothing_behind(engine: Engine) -> None:
    """Neither those that complete, nor the failed, the cancelled, the delayed and the never started."""
    with Windlass(config=engine.config) as app:

        @app.task(retries=1)
        async def fail(times: int) -> int:
            if times:
                raise RuntimeError
            return times

        @app.task(name="log", execution_timeout="1m")
        def log(line: str, ctx: Context) -> None:
            ctx.log(line)
            ctx.put_stream(line)

        @app.task
        async def unserved(number: int) -> int:
            return number

        with running_worker(app, workflows=[fail, log]):
            log.run("a line")
            with pytest.raises(TaskRunError):
                fail.run(2)
            fail.run_many([fail.create_bulk_run_item(0) for _ in range(100)])
            waiting = unserved.options(expires="1m").delay(1)
            waiting.cancel()
            unserved.options(delay="1h").delay(2)
            unserved.delay(3)
        assert leaks_after_retention(engine.cluster.store_url) == []


@pytest.mark.parametrize(
    "key", ["e:run", "wt:run", "k:run", "log:run", "str:run", "q:default|default|t/2", "att:worker", "s:worker:default"]
)
def test_what_is_left_of_a_run_is_seen(store_url: str, key: str) -> None:
    """Negative control: a key of a run that is gone."""
    with Redis.from_url(store_url) as client:
        client.hset(f"wl{{0}}:{key}", "field", "value")
    assert leaks_after_retention(store_url, seconds=0) == [f"wl{{0}}:{key}"]


@pytest.mark.parametrize("key", ["w:worker", "ws:default", "g:group", "gf:group", "free:group", "inbox:inc", "out:inc"])
def test_what_is_left_of_a_worker_or_process_is_seen(store_url: str, key: str) -> None:
    """Negative control: a key of a worker, a group, a process that is not there."""
    with Redis.from_url(store_url) as client:
        client.hset(f"wl{{0}}:{key}", "field", "value")
    assert leaks_after_retention(store_url, seconds=0) == [f"wl{{0}}:{key}"]


def test_an_undocumented_key_is_seen(store_url: str) -> None:
    """Negative control: a key of no family."""
    with Redis.from_url(store_url) as client:
        client.set("wl{0}:secret", "value")
    with pytest.raises(AssertionError, match="no documented family"):
        leaks_after_retention(store_url, seconds=0)
