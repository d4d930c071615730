"""Owns what the tick of a cron becomes: one run, under an id that follows from the two."""

import hashlib
from functools import partial

from windlass.v1 import run_pb2, run_service_pb2, schedule_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import UnknownWorkflow
from windlass_core.domain.names import mint_run_id
from windlass_core.named_limits import NamedLimits
from windlass_core.store.runs import Submission
from windlass_core.submission import check_submission


def run_id_of(cron_id: str, tick_ms: int) -> str:
    """The id of a tick's run: whoever fires the tick, it is the same one."""
    digest = hashlib.blake2b(f"{cron_id}\n{tick_ms}".encode(), digest_size=10).digest()
    return mint_run_id(tick_ms, digest)


async def submission_of(
    definitions: DefinitionCache,
    limits: NamedLimits,
    namespace: str,
    cron_id: str,
    spec: schedule_pb2.CronSpec,
    tick_ms: int,
) -> Submission:
    """The run of a tick, of the definition's current version.

    Raises UnknownWorkflow where nobody has registered it, InvalidField where it takes no such input, and
    StoreUnavailable.
    """
    definition = await definitions.current(namespace, spec.workflow_name)
    if definition is None:
        raise UnknownWorkflow(
            f"spec.workflow_name: nobody has registered {spec.workflow_name!r}; start a worker that has it, or "
            "register it",
            "spec.workflow_name",
        )
    run = run_pb2.RunSpec(
        workflow_name=spec.workflow_name,
        input_json=spec.schedule.input_json,
        metadata_json=spec.metadata_json,
        priority=spec.priority,
        cron_id=cron_id,
        tick_ms=tick_ms,
    )
    submission = run_service_pb2.RunSubmission(run_id=run_id_of(cron_id, tick_ms), spec=run)
    check = partial(
        check_submission, submission, definition, namespace=namespace, wait=False, path="run", by_engine=True
    )
    return await limits.check_with(namespace, definition, check)
