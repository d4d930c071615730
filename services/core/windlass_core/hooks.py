"""Owns what the end of a run that a hook follows becomes: one more run, under an id that follows from that end."""

import hashlib
from dataclasses import replace
from functools import partial

import structlog

from windlass.v1 import run_pb2, run_service_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.definition import Definition, TaskTerms
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.names import flow_namespace, flow_task, mint_run_id
from windlass_core.failure import failure_message
from windlass_core.named_limits import NamedLimits
from windlass_core.store.hooks import HookStart, OwedHook
from windlass_core.store.runs import Submission
from windlass_core.submission import check_submission

_log = structlog.get_logger(__name__)


def run_id_of(run_id: str, replays: int) -> str:
    """The id of the hook's run: whoever starts the hook of an end, it is the same one, next to the ended run's."""
    digest = hashlib.blake2b(f"{run_id}\n{replays}".encode(), digest_size=10).digest()
    return mint_run_id(int(run_id.replace("-", "")[:12], 16), digest)


async def start_of(definitions: DefinitionCache, limits: NamedLimits, owed: OwedHook) -> HookStart:
    """How the hook of an end is started, of the version that the run began with. Raises StoreUnavailable."""
    namespace = flow_namespace(owed.flow)
    definition = await definitions.version(namespace, flow_task(owed.flow), owed.version)
    hook = definition.hooks.get(owed.phase) if definition is not None else None
    if definition is None or hook is None:
        _log.error("a run's version knows of no hook", run=owed.run_id, version=owed.version)
        return HookStart(owed.run_id, owed.replays, None)
    submission = run_service_pb2.RunSubmission(
        run_id=run_id_of(owed.run_id, owed.replays), spec=_spec_of(owed, definition.task, hook)
    )
    started = await _check(limits, namespace, definition.for_hook(hook), submission)
    if not (started.more and "g" in started.more):
        # It waits where its run did. With gates it is a newcomer: they may be about who came last.
        started = started._replace(more={**(started.more or {}), "since": owed.ready_ms})
    return HookStart(owed.run_id, owed.replays, started)


async def _check(
    limits: NamedLimits, namespace: str, definition: Definition, submission: run_service_pb2.RunSubmission
) -> Submission:
    check = partial(check_submission, submission, namespace=namespace, wait=False, path="hook", by_engine=True)
    try:
        return await limits.check_with(namespace, definition, partial(check, definition))
    except InvalidField as error:
        # It was right when the run was submitted: since then somebody has deleted a limit, or lowered it.
        _log.warning("a hook starts without its limits", run=submission.spec.hook.run_id, error=str(error))
        return check(replace(definition, has_gates=False))


def _spec_of(owed: OwedHook, task: TaskTerms, hook: TaskTerms) -> run_pb2.RunSpec:
    followed = run_pb2.RunSpec.FromString(owed.spec)
    message = run_pb2.Hook(run_id=owed.run_id, task_name=hook.name, output_json=owed.output)
    if owed.failure is not None:
        message.failures[task.name].CopyFrom(failure_message(owed.failure))
    return run_pb2.RunSpec(
        workflow_name=followed.workflow_name,
        input_json=followed.input_json,
        metadata_json=followed.metadata_json,
        priority=followed.priority,
        queue=followed.queue,
        traceparent=followed.traceparent,
        tracestate=followed.tracestate,
        hook=message,
    )
