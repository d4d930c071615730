"""Owns an application with a task of each form, for tests of the client against an api without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from windlass import Context, Windlass
from windlass.config import ClientConfig

if TYPE_CHECKING:
    from tests.support.fake_api import FakeApi


class Number(BaseModel):
    i: int


class Tasks:
    """An application with a task of each form, connected to a fake api."""

    def __init__(self, address: str, **settings: Any) -> None:
        self.app = app = Windlass(config=ClientConfig(api_address=address, **settings))

        @app.task
        async def model(input: Number, ctx: Context) -> Number:
            return input

        @app.task
        def plain(a: int, b: str = "x") -> dict[str, Any]:
            return {"a": a, "b": b}

        self.model = model
        self.plain = plain


def kinds(api: FakeApi) -> list[str]:
    """Give what came, in order."""
    return [str(request.WhichOneof("message")) for request in api.requests]
