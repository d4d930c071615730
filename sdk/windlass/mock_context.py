"""Owns the context of a run that exists nowhere: for direct calls and `mock_run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

from windlass.context import Context
from windlass.exceptions import TaskRunError
from windlass.other_task import name_of
from windlass.task import Task
from windlass.transport.run_id import mint
from windlass.worker_labels import WorkerLabels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from windlass.other_task import OtherTask
    from windlass.v1 import run_pb2

#: The worker that a mocked run is executed by.
MOCKED: Final = "mock"


def mock_context(
    task: Task,
    input_json: bytes,
    *,
    metadata_json: bytes = b"",
    retry_count: int = 0,
    lifespan: Any = None,
    hook: run_pb2.Hook | None = None,
) -> Context:
    """Build the context of an attempt of `task`; `hook`: what it is told of the run that it follows."""
    from windlass.v1 import dispatch_pb2, run_pb2

    assignment = dispatch_pb2.Assignment(
        run_id=mint(),
        lease_id="0" * 32,
        attempt=retry_count + 1,
        max_attempts=max(task.settings.retry.max_attempts, retry_count + 1),
        task_name=task.name,
        spec=run_pb2.RunSpec(
            workflow_name=task.workflow.name, input_json=input_json, metadata_json=metadata_json, hook=hook
        ),
    )
    voice = _Unheard()
    voice.context = Context(assignment, MOCKED, WorkerLabels({}), voice, lifespan, task.workflow.default_priority)
    return voice.context


class _Unheard:
    """The voice of a run that exists nowhere: what it says goes nowhere, but it can cancel itself."""

    context: Context

    def log(self, level: str, message: str) -> None:
        """See Voice."""

    def progress(self, progress: run_pb2.Progress) -> None:
        """See Voice."""

    def put_chunk(self, chunk: run_pb2.StreamChunk) -> None:
        """See Voice."""

    async def aio_put_chunk(self, chunk: run_pb2.StreamChunk) -> None:
        """See Voice."""

    def refresh(self, timeout_ms: int) -> None:
        """See Voice."""

    def release_slot(self) -> None:
        """See Voice."""

    def change_labels(self, changes: dict[str, str]) -> None:
        """See Voice."""

    def cancel_self(self) -> None:
        """See Voice."""
        self.context._mark_cancelled("cancelled by the task")  # noqa: SLF001 - its own maker


def mock_hook(
    outputs: Mapping[OtherTask[Any] | str, Any] | None, errors: Mapping[OtherTask[Any] | str, BaseException] | None
) -> run_pb2.Hook | None:
    """Say how the run ended that a mocked hook follows, by tasks or their names; None where nothing is given."""
    from windlass.v1 import run_pb2

    if outputs is None and errors is None:
        return None
    by_name = {name_of(task): _json_value(task, output) for task, output in (outputs or {}).items()}
    return run_pb2.Hook(
        run_id=mint(),
        output_json=b"" if outputs is None else to_json(by_name),
        failures={name_of(task): _failure(error) for task, error in (errors or {}).items()},
    )


def _json_value(task: OtherTask[Any] | str, output: Any) -> Any:
    return from_json(task.encode_output(output) if isinstance(task, Task) else to_json(output))


def _failure(error: BaseException) -> run_pb2.Failure:
    from windlass.v1 import run_pb2

    if isinstance(error, TaskRunError):
        return run_pb2.Failure(
            type=error.type, message=error.error, traceback=error.traceback, attempt=max(error.attempt, 1)
        )
    return run_pb2.Failure(type=type(error).__name__, message=str(error), attempt=1)
