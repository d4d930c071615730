"""Owns what a task is told of the other tasks of its workflow: a hook, of those of the run that it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic_core import from_json, to_json

from windlass.exceptions import NotFound

if TYPE_CHECKING:
    from windlass.v1 import dispatch_pb2

OutT_co = TypeVar("OutT_co", covariant=True)


class OtherTask(Protocol[OutT_co]):
    """A task that another one asks about."""

    @property
    def name(self) -> str:
        """Its name."""

    def decode_output(self, output_json: bytes) -> OutT_co:
        """Read its output."""


def name_of(task: OtherTask[Any] | str) -> str:
    """Give the name of a task, or the name that was given in its place."""
    return task if isinstance(task, str) else task.name


def output_of(task: OtherTask[Any] | str, assignment: dispatch_pb2.Assignment) -> Any:
    """Give the output of `task` as `assignment` tells it. Raises NotFound, which says why there is none."""
    name, spec = name_of(task), assignment.spec
    outputs = from_json(spec.hook.output_json or b"{}")
    if name in outputs:
        return outputs[name] if isinstance(task, str) else task.decode_output(to_json(outputs[name]))
    if outputs:
        why = f"there is that of {', '.join(outputs)}"
    elif spec.HasField("hook"):
        why = "the run that this hook follows has failed: see task_run_errors"
    else:
        why = "it follows no run; in a test, mock_run(parent_outputs=...) says what there is"
    raise NotFound(f"no output of task {name!r} for task {assignment.task_name!r} of {spec.workflow_name!r}: {why}")
