"""Workflows with hooks: several tasks of one name, and tasks that follow the end of another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import optional_case
from tests.support.scripted_dispatcher import assignment
from windlass.v1 import run_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig

_FOLLOWED = "01890a5d-ac96-774b-bcce-b302099a8057"


@optional_case("hooks")
async def hello_defines_hooks(rig: Rig) -> None:
    """A workflow of another name than its task's comes with its hooks, and they are none of its tasks."""
    link = await rig.connect()
    (order,) = [each for each in link.hello.workflows if each.name == "conformance.order"]
    tasks = [task.name for task in order.tasks]
    assert tasks == ["work"], f"conformance.order: expected one task, work, got {tasks}"
    hooks = (order.on_failure.name, order.on_success.name)
    assert hooks == ("failed", "succeeded"), f"conformance.order: expected the hooks failed and succeeded, got {hooks}"
    assert order.output_by_task, "output_by_task: expected true"


@optional_case("hooks")
async def tasks_of_one_name_are_told_apart(rig: Rig) -> None:
    """Two workflows have a task work; each is executed as its own, and its output is reported plain."""
    link = await rig.connect()
    for workflow in ("conformance.order", "conformance.refund"):
        attempt = assignment("work", workflow=workflow)
        link.assign(attempt)
        work.expect_output(await link.outcome(attempt), {"workflow": workflow, "task": "work"})
    stranger = assignment("failed", workflow="conformance.refund")
    link.assign(stranger)
    kind = work.expect_failure(await link.outcome(stranger)).failure.type
    assert kind == "UnknownTask", f"a hook of another workflow: expected the type UnknownTask, got {kind}"


@optional_case("hooks")
async def a_hook_knows_what_it_follows(rig: Rig) -> None:
    """A hook is told the run that has ended, and its output or its failures; its own outcome is its run's."""
    link = await rig.connect()
    cheering = assignment(
        "succeeded",
        workflow="conformance.order",
        hook=run_pb2.Hook(run_id=_FOLLOWED, task_name="succeeded", output_json=b'{"work": [7]}'),
    )
    failures = {"work": run_pb2.Failure(type="OSError", message="no bank")}
    mourning = assignment(
        "failed",
        workflow="conformance.order",
        hook=run_pb2.Hook(run_id=_FOLLOWED, task_name="failed", failures=failures),
    )
    link.assign(cheering, mourning)
    told = {"workflow": "conformance.order", "run": _FOLLOWED}
    outcome = await link.outcome(cheering)
    work.expect_output(outcome, {**told, "task": "succeeded", "output": [7]})
    assert outcome.run_id == cheering.run_id, f"run_id: expected the hook's own, {cheering.run_id}"
    work.expect_output(await link.outcome(mourning), {**told, "task": "failed", "failures": {"work": "no bank"}})
