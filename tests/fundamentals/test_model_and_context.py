"""A task that takes a model, and is told about its own run."""

from pydantic import BaseModel

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


class Order(BaseModel):
    id: str


class Receipt(BaseModel):
    order_id: str
    attempt: int


async def test_model_goes_in_and_out(app: Windlass, serving: Serving) -> None:
    """With the Context second, the first parameter is the whole input; what comes back is typed."""

    @app.task
    async def charge(input: Order, ctx: Context) -> Receipt:
        return Receipt(order_id=input.id, attempt=ctx.attempt_number)

    async with serving(app):
        assert await charge.aio_run(Order(id="A1")) == Receipt(order_id="A1", attempt=1)
