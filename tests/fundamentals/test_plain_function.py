"""A plain function is a task as it stands."""

from tests.fundamentals.conftest import Serving
from windlass import Windlass


async def test_plain_function_is_a_task(app: Windlass, serving: Serving) -> None:
    """Called directly it runs here; `aio_run` runs it on a worker and gives what it returns."""

    @app.task
    def area(width: int, height: int = 2) -> int:
        return width * height

    assert area(3) == 6
    async with serving(app):
        assert await area.aio_run(3, height=5) == 15
