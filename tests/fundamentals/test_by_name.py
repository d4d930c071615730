"""Submitting a task that this process has not imported."""

import pytest

from tests.fundamentals.conftest import Serving
from windlass import UnknownTask, Windlass
from windlass.testing import Engine


async def test_task_is_submitted_by_its_name(app: Windlass, serving: Serving, engine: Engine) -> None:
    """A dict is its input, a list its positional arguments."""

    @app.task(name="mail.send")
    def send(to: str, subject: str = "hello") -> str:
        return f"{subject} {to}"

    async with serving(app), Windlass(config=engine.config) as elsewhere:
        by_dict = await elsewhere.aio_enqueue("mail.send", {"to": "ada"})
        by_list = await elsewhere.aio_enqueue("mail.send", ["ada", "bye"])
        assert await by_dict.aio_result(timeout=30) == "hello ada"
        assert await by_list.aio_result(timeout=30) == "bye ada"


async def test_unknown_name_is_refused_at_the_call(app: Windlass) -> None:
    """Nothing is stored."""
    with pytest.raises(UnknownTask, match=r"mail\.sned"):
        await app.aio_enqueue("mail.sned", {})
