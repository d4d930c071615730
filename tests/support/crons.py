"""Crons as the scripts' tests make them, in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.world import NAMESPACE, World, flow_of
from windlass.v1 import schedule_pb2, workflow_pb2
from windlass_core.crons import run_id_of
from windlass_core.domain.cron_spec import CheckedCron, check_cron
from windlass_core.store.crons import Firing
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from collections.abc import Sequence


def checked(
    name: str = "nightly",
    expression: str = "@daily",
    *,
    workflow: str = "t",
    namespace: str = NAMESPACE,
    declared: bool = False,
    timezone: str = "",
    input_json: bytes = b"",
    catch_up: int = 0,
    overlap: int = 0,
) -> CheckedCron:
    """A cron as the store takes it."""
    schedule = workflow_pb2.CronDefinition(
        name=name,
        expression=expression,
        timezone=timezone,
        input_json=input_json,
        catch_up=workflow_pb2.CatchUp.ValueType(catch_up),
        overlap=workflow_pb2.Overlap.ValueType(overlap),
    )
    spec = schedule_pb2.CronSpec(workflow_name=workflow, schedule=schedule)
    return check_cron(spec, namespace, "spec", declared=declared)


async def made(world: World, name: str = "nightly", **fields: Any) -> str:
    """A cron that was made by call, and its id."""
    cron = checked(name, **fields)
    assert await world.shard.crons.create(fields.get("namespace", NAMESPACE), cron) == "created"
    return cron.cron_id


def firing(
    cron_id: str, ticks: Sequence[int] = (), *, next_ms: int = 10**14, revision: int = 1, error: str = "", **fields: Any
) -> Firing:
    """What a scheduler would have fired: ticks in ms, each as one run of task `t`."""
    runs = [(tick, Submission(run_id_of(cron_id, tick), b"spec", flow_of(), 2, "v1")) for tick in ticks]
    settled = fields.get("settled_ms", max(ticks, default=0))
    return Firing(cron_id, revision, settled, fields.get("made_up", 0), next_ms, error, runs)
