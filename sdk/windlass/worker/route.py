"""Owns how an attempt finds its task: by the names of its workflow and of the task in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from windlass.v1 import dispatch_pb2

#: The workflow's name, and the task's; a standalone task is a workflow of its own name.
Route: TypeAlias = tuple[str, str]


def route_of(assignment: dispatch_pb2.Assignment) -> Route:
    """Say which task an attempt executes."""
    return assignment.spec.workflow_name, assignment.task_name
