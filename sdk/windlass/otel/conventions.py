"""Owns the names of attributes: those of the messaging conventions, and ours where they have none.

See https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.util.types import AttributeValue

    from windlass.context import Context
    from windlass.v1 import run_service_pb2

ERROR_TYPE: Final = "error.type"
_SYSTEM: Final = "messaging.system"
_DESTINATION: Final = "messaging.destination.name"
_OPERATION: Final = "messaging.operation.name"
_OPERATION_TYPE: Final = "messaging.operation.type"
_MESSAGE_ID: Final = "messaging.message.id"
_BATCH: Final = "messaging.batch.message_count"
_CLIENT: Final = "messaging.client.id"


def of_sending(operation: str, name: str) -> dict[str, AttributeValue]:
    """Describe what sends runs of one workflow: all that a sampler may decide by."""
    return {_SYSTEM: "windlass", _DESTINATION: name, _OPERATION: operation, _OPERATION_TYPE: operation}


def of_submissions(submissions: Sequence[run_service_pb2.RunSubmission]) -> dict[str, AttributeValue]:
    """Describe runs on their way to the engine."""
    first = submissions[0]
    attributes: dict[str, AttributeValue] = {}
    if len(submissions) == 1:
        attributes[_MESSAGE_ID] = first.run_id
    else:
        attributes[_BATCH] = len(submissions)
    if first.spec.parent_task_run_id:
        attributes["windlass.parent.id"] = first.spec.parent_task_run_id
    return attributes


def of_attempt(context: Context) -> dict[str, AttributeValue]:
    """Describe an attempt."""
    return {
        _SYSTEM: "windlass",
        _DESTINATION: context.workflow_name,
        _OPERATION: "process",
        _OPERATION_TYPE: "process",
        _MESSAGE_ID: context.task_run_id,
        _CLIENT: context.worker_id,
        "windlass.task": context.task_name,
        "windlass.attempt": context.attempt_number,
        "windlass.max_attempts": context.max_attempts,
    }
