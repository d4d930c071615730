"""5,000 crons that are due in one minute: all are fired, each once, within ten seconds."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.raw_client import open_door, workflow
from tests.support.store_keys import PREFIX, StoreKeys
from tests.support.until import until
from windlass.v1 import run_pb2, schedule_pb2, schedule_service_pb2, workflow_pb2, workflow_service_pb2
from windlass_core.local import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.raw_client import Door

CRONS = 5_000
#: What is promised, in seconds, on a machine that does nothing else.
PROMISED_S = 10.0
_AT_ONCE = 50


async def _make(api: Door) -> None:
    """5,000 crons of ten workflows, half of them in other zones; none is due while the test makes them."""
    names = [f"task-{i}" for i in range(10)]
    register = workflow_service_pb2.RegisterWorkflowsRequest(workflows=[workflow(name) for name in names])
    await api.workflows.RegisterWorkflows(register)
    room = asyncio.Semaphore(_AT_ONCE)

    async def make(i: int) -> None:
        schedule = workflow_pb2.CronDefinition(
            name=f"cron {i}",
            expression="@yearly",
            timezone=("UTC", "Europe/Berlin", "Asia/Tokyo", "UTC")[i % 4],
            input_json=b'{"cron":%d}' % i,
            catch_up=workflow_pb2.CATCH_UP_ALL,
        )
        spec = schedule_pb2.CronSpec(workflow_name=names[i % 10], schedule=schedule)
        async with room:
            await api.schedules.CreateCron(schedule_service_pb2.CreateCronRequest(spec=spec))

    await asyncio.gather(*(make(i) for i in range(CRONS)))


def _let_one_tick_be_due(store: StoreKeys) -> None:
    """As if the turn of the year had come for all of them at this moment: their last one was a year ago."""
    seconds, _micros = store.redis.time()
    settled = (seconds - 365 * 24 * 3600) * 1000
    pipe = store.redis.pipeline(transaction=True)
    crons = store.members("crd")
    assert len(crons) == CRONS
    for cron in crons:
        pipe.hset(f"{PREFIX}cr:{cron}", "a", settled)
        pipe.zadd(f"{PREFIX}crd", {cron: settled})
    pipe.zadd(f"{PREFIX}T", {"crons:": settled})
    pipe.rpush(f"{PREFIX}wake", "1")
    pipe.execute()


@pytest.mark.long
async def test_five_thousand_crons_of_one_minute_are_fired_in_time(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Each gives one run of its own, which waits for a worker; none is fired twice."""
    with LocalCluster() as cluster, StoreKeys(cluster.store_url) as store:
        async with open_door(cluster.api_address) as api:
            await _make(api)
        now_ms = time.time() * 1000
        until(
            lambda: min((s for _, s in store.redis.zrange(f"{PREFIX}crd", 0, 0, withscores=True))) > now_ms, "settled"
        )
        _let_one_tick_be_due(store)
        began = time.monotonic()
        until(lambda: store.redis.zcard(f"{PREFIX}ix:default") >= CRONS, "all are fired", seconds=60)
        took = time.monotonic() - began
        record_testsuite_property("seconds_to_fire_5000_crons", round(took, 2))
        runs = store.members("ix:default")
        specs = [run_pb2.RunSpec.FromString(store.redis.hget(f"{PREFIX}r:{run}", "b")) for run in runs]
        assert len(specs) == len({spec.cron_id for spec in specs}) == CRONS
        assert {store.field(f"r:{run}", "ph") for run in runs} == {"r"}
        assert min(s for _, s in store.redis.zrange(f"{PREFIX}crd", 0, 0, withscores=True)) > now_ms
        assert took < PROMISED_S * 2, f"5,000 crons took {took:.1f} s"
