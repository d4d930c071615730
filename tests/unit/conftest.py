"""Fixtures of the unit tests: an app, and who stands in for the engine that it would speak to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fake_api import FakeApi, fake_api
from tests.support.fake_dispatcher import FakeDispatcher, fake_dispatcher
from tests.support.orders import OrderInput
from tests.support.program_with_children import Start
from tests.support.sdk_tasks import Tasks
from windlass import Windlass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from windlass import Workflow


@pytest.fixture
def app() -> Windlass:
    """Give an app that never connects."""
    return Windlass()


@pytest.fixture
def orders(app: Windlass) -> Workflow[OrderInput]:
    """Give a workflow of that app which has no task yet."""
    return app.workflow(name="orders", input_validator=OrderInput)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """Give an api that accepts everything and gives each input back as the output."""
    with fake_api() as api:
        yield api


@pytest.fixture
def tasks(api: FakeApi) -> Iterator[Tasks]:
    """Give tasks of an application that is closed at the end."""
    tasks = Tasks(api.address)
    with tasks.app:
        yield tasks


@pytest.fixture
def dispatcher() -> Iterator[FakeDispatcher]:
    """Give a dispatcher that listens."""
    with fake_dispatcher() as dispatcher:
        yield dispatcher


@pytest.fixture
def start(dispatcher: FakeDispatcher, tmp_path: Path) -> Iterator[Start]:
    """Give a way to start a worker's program with children."""
    start = Start(dispatcher, tmp_path)
    yield start
    for program in start.programs:
        program.close()
