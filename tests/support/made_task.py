"""Owns a task made of a function without an app, and types of inputs to give it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from windlass.definition import TaskSettings, WorkflowSettings
from windlass.mock_context import mock_context
from windlass.signature import read_signature
from windlass.task import Task


class Image(BaseModel):
    url: str
    width: int = 3


@dataclass
class Point:
    x: int
    y: int = 0


def make(function: Any, **settings: Any) -> Task:
    """Make a task of a function."""
    form = read_signature(function, "t", settings.pop("input_validator", None))
    return Task(function, form, TaskSettings(name="t", **settings), WorkflowSettings(name="t"))


def run(task: Task, text: bytes) -> Any:
    """Run it as a worker would."""
    result = task.prepare(text, mock_context(task, text))()
    return asyncio.run(result) if task.is_async else result
