"""Priorities under load, through the whole engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.raw_client import PATIENCE_S, raw_worker, submission
from windlass.v1 import workflow_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door

LOW = workflow_pb2.PRIORITY_LOW
HIGH = workflow_pb2.PRIORITY_HIGH


async def test_low_work_finishes_while_high_work_keeps_coming(api: Door, dispatcher: Door, task: str) -> None:
    """A worker with one slot; each HIGH run that ends is followed by another, and none of them is LOW's end."""
    await api.submit(*[submission(task, priority=LOW) for _ in range(3)])
    await api.submit(*[submission(task, priority=HIGH) for _ in range(20)])
    executed: Counter[int] = Counter()
    async with raw_worker(dispatcher, task, slots=1) as worker, asyncio.timeout(PATIENCE_S):
        while executed[LOW] < 3:
            (assignment,) = await worker.assigned()
            executed[assignment.spec.priority] += 1
            await api.submit(submission(task, priority=HIGH))
            await worker.complete(assignment)
    assert 14 <= executed[HIGH] <= 24
