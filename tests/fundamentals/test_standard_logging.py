"""What a task says through the standard library is kept with its run, as `ctx.log` lines are."""

import logging

import pytest

from tests.fundamentals.conftest import Serving
from windlass import TaskRunError, Windlass

log = logging.getLogger("shop")

cards: dict[str, str] = {}


async def test_log_records_of_a_task_are_in_its_runs_log(app: Windlass, serving: Serving) -> None:
    """With their level, their arguments filled in, and the traceback of `exception`."""

    @app.task
    def charge(card: str) -> str:
        log.warning("charging %s", card)
        try:
            return cards[card]
        except KeyError:
            log.exception("no such card")
            raise

    async with serving(app):
        ref = await charge.aio_delay("4711")
        with pytest.raises(TaskRunError, match="KeyError"):
            await ref.aio_result(timeout=30)
    first, second = await app.logs.aio_list(ref.id)
    assert (first.level, first.message) == ("WARNING", "charging 4711")
    assert second.level == "ERROR"
    assert second.message.startswith("no such card\nTraceback")
    assert second.message.endswith("KeyError: '4711'")
