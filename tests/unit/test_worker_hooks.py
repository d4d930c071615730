"""A worker finds the task of a workflow, and the hook, by the names of both; a hook knows what it follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attempts import Attempts
from windlass import Context, Windlass
from windlass.v1 import run_pb2
from windlass.worker.processes.crew import Crew
from windlass.worker.processes.served import Served

if TYPE_CHECKING:
    from windlass import Workflow

FOLLOWED = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def app() -> Windlass:
    """Two workflows with a task and hooks of the same names."""
    app = Windlass()
    define(app.workflow(name="orders"))
    define(app.workflow(name="returns"))
    return app


def define(workflow: Workflow[Any]) -> None:
    """Give it a task and two hooks."""

    @workflow.task
    async def work(input: dict[str, int], ctx: Context) -> list[str]:
        return [ctx.workflow_name, ctx.task_name, ctx.workflow_run_id, ctx.task_run_id]

    @workflow.on_failure_task(executor="process")
    def weep(ctx: Context) -> Any:
        errors = {name: [error.run_id, error.error] for name, error in ctx.task_run_errors.items()}
        return [ctx.workflow_name, ctx.workflow_run_id, errors]

    @workflow.on_success_task
    async def cheer(ctx: Context) -> Any:
        return [ctx.workflow_name, ctx.task_name, ctx.workflow_run_id, ctx.task_run_id, ctx.task_output("work")]


async def test_an_attempt_is_routed_by_workflow_and_task(app: Windlass) -> None:
    """Two workflows may have tasks of one name."""
    attempts = Attempts(app)
    for name in ("orders", "returns"):
        work = attempts.start("work", b'{"a": 1}', workflow=name)
        await attempts.outcome(work)
        assert json.loads(await attempts.complete("work", workflow=name))[:2] == [name, "work"]
    failure = await attempts.fail("work", workflow="refunds")
    assert failure.message.startswith("this worker has no task \"refunds's work\"; it has orders's cheer, ")


async def test_a_success_hook_has_the_outputs_of_the_run_that_it_follows(app: Windlass) -> None:
    """The workflow's run is that one, the task's run is the hook's own."""
    attempts = Attempts(app)
    hook = run_pb2.Hook(run_id=FOLLOWED, task_name="cheer", output_json=b'{"work": 3}')
    work = attempts.start("cheer", b'{"a": 1}', workflow="orders", hook=hook)
    await attempts.outcome(work)
    told = json.loads(await attempts.complete("cheer", workflow="orders", hook=hook))
    assert told[:3] == ["orders", "cheer", FOLLOWED]
    assert told[3] not in {FOLLOWED, work.run_id}
    assert told[4] == 3


async def test_a_failure_hook_has_the_failures_beside_its_own(app: Windlass) -> None:
    """Each names the run that it was in."""
    attempts = Attempts(app)
    failures = {"work": run_pb2.Failure(type="OSError", message="no bank", attempt=3)}
    hook = run_pb2.Hook(run_id=FOLLOWED, task_name="weep", failures=failures)
    own = [run_pb2.Failure(type="OSError", message="no mail", attempt=1)]
    work = attempts.start("weep", workflow="orders", hook=hook, failures=own, attempt=2, max_attempts=2)
    outcome: Any = await attempts.outcome(work)
    expected = {"work": [FOLLOWED, "no bank"], "weep": [work.run_id, "no mail"]}
    assert json.loads(outcome.output_json) == ["orders", FOLLOWED, expected]


async def test_lines_of_a_hook_go_with_its_own_run(app: Windlass) -> None:
    """Not with the run that it follows."""

    @app.workflow(name="talking").on_success_task
    async def cheer(ctx: Context) -> None:
        ctx.log("hurrah")

    attempts = Attempts(app)
    work = attempts.start("cheer", workflow="talking", hook=run_pb2.Hook(run_id=FOLLOWED))
    await attempts.outcome(work)
    [line] = attempts.lines
    assert (line.run_id, line.line.message) == (work.run_id, "hurrah")


def test_what_executes_alone_is_told_apart_by_workflow(app: Windlass) -> None:
    """On the way to a supervisor that has not imported the app, too."""
    crew = Crew(app, {"orders": app.tasks["orders"]}, None, capture_logs=True)
    assert crew.alone == {("orders", "weep")}
    served = Served.from_json(Served.of(crew).to_json())
    assert served.alone == crew.alone
    assert [each.on_failure.name for each in served.definitions] == ["weep"]
