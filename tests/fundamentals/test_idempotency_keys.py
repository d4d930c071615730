"""One run for all submits with one key."""

import pytest

from tests.fundamentals.conftest import Serving
from windlass import AlreadyExists, Idempotency, RunCancelled, Windlass


async def test_a_key_makes_one_run_of_many_submits(app: Windlass, serving: Serving) -> None:
    """Whoever submits it again gets the run that is there; the key of another input is refused."""

    @app.task
    def charge(order: int, cents: int) -> int:
        return cents

    once = charge.options(idempotency_key="order-7")
    async with serving(app):
        assert await once.aio_run(7, cents=100) == 100
        first, second = await once.aio_delay(7, cents=100), await once.aio_delay(7, cents=100)
        assert first == second
        assert await second.aio_result(timeout=30) == 100
        with pytest.raises(AlreadyExists, match="order-7"):
            await once.aio_delay(7, cents=200)


async def test_the_newest_replaces_what_waits(app: Windlass) -> None:
    """Only the last of several reports is worth its while."""

    @app.task(idempotency=Idempotency(expression="input.customer", until_terminal=True, on_conflict="replace"))
    def report(customer: str, page: int) -> None: ...

    old, new = await report.aio_delay("acme", 1), await report.aio_delay("acme", 2)
    assert old != new
    with pytest.raises(RunCancelled, match=new.id):
        await old.aio_result(timeout=30)


async def test_a_batch_follows_its_keys(app: Windlass, serving: Serving) -> None:
    """Also one whose references are there before the engine has answered."""

    @app.task(idempotency=Idempotency(expression="string(input.order)", window="1h"))
    def ship(order: int) -> int:
        return order

    def submit() -> tuple[list[str], list[int]]:
        with app.batch():
            refs = [ship.delay(order) for order in (1, 1, 2)]
        outputs = ship.run_many([ship.create_bulk_run_item(order) for order in (2, 1, 2)])
        return [ref.id for ref in refs], [*(ref.result(timeout=30) for ref in refs), *outputs]

    import asyncio

    async with serving(app):
        ids, outputs = await asyncio.to_thread(submit)
    assert ids[0] == ids[1] != ids[2]
    assert outputs == [1, 1, 2, 2, 1, 2]
