"""What the scheduler makes of runs that have ended with a hook to follow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tests.support.world import NAMESPACE
from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES
from windlass_core.hooks import run_id_of
from windlass_core.metrics import Metrics
from windlass_core.submission import check_submission
from windlass_scheduler.hooks import HookStarter

if TYPE_CHECKING:
    from tests.support.world import World
    from windlass_core.domain.definition import Definition

FAILURE = run_pb2.Failure(type="ValueError", message="no", traceback="a line").SerializeToString()


@pytest.fixture
def starter(world: World) -> HookStarter:
    """Give one scheduler's."""
    return HookStarter(world.shard, DefinitionCache(world.shard.definitions), Metrics())


async def _register(world: World, **fields: Any) -> Definition:
    message = workflow_pb2.WorkflowDefinition(
        name="t",
        tasks=[workflow_pb2.TaskDefinition(name="work")],
        **{"on_failure": {"name": "alert"}, "on_success": {"name": "cheer"}, "output_by_task": True, **fields},
    )
    (definition,) = await DefinitionCache(world.shard.definitions).register(NAMESPACE, [message], "workflows")
    return definition


async def _running(world: World, definition: Definition, note: str = "", **limits: int) -> str:
    """A run of the workflow, with what a caller can say of one, that a worker has."""
    if not world.sessions:
        await world.connect()
    spec = run_pb2.RunSpec(
        workflow_name="t",
        input_json=b'{"id":7}',
        metadata_json=json.dumps({"who": "me"} | ({"note": note} if note else {})).encode(),
        priority=workflow_pb2.PRIORITY_HIGH,
        queue="q",
        retry=workflow_pb2.RetryPolicy(max_attempts=9),
        idempotency=run_pb2.Idempotency(key="k", until_terminal=True),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        child_key="c",
    )
    submission = run_service_pb2.RunSubmission(spec=spec)
    run = check_submission(submission, definition, namespace=NAMESPACE, wait=False, path="run", limits=limits)
    _epoch, refused = await world.shard.runs.submit(NAMESPACE, "a1", [], [run])
    assert not refused
    await world.match()
    return run.run_id


async def _hook_of(world: World, run: str) -> run_pb2.RunSpec:
    """What the hook that followed a run's end was started with."""
    (body,) = await world.shard.runs.specs([run_id_of(run, 0)])
    return run_pb2.RunSpec.FromString(body)


async def test_a_hook_gets_what_its_run_had_and_how_that_ended(world: World, starter: HookStarter) -> None:
    """Its input, metadata, priority and queue; neither its own terms nor its keys."""
    definition = await _register(world)
    run = await _running(world, definition)
    await world.complete(run, output=b'{"work":1}')
    assert not await starter.start_owed()
    hook = await _hook_of(world, run)
    assert (hook.hook.run_id, hook.hook.task_name, hook.hook.output_json) == (run, "cheer", b'{"work":1}')
    assert (hook.workflow_name, hook.input_json, json.loads(hook.metadata_json)) == ("t", b'{"id":7}', {"who": "me"})
    assert (hook.priority, hook.queue) == (workflow_pb2.PRIORITY_HIGH, "q")
    assert hook.traceparent.startswith("00-0af7")
    assert not {"retry", "idempotency", "child_key"} & {field.name for field, _ in hook.ListFields()}


async def test_a_hook_after_a_failure_is_told_of_it(world: World, starter: HookStarter) -> None:
    """By the name of the task that failed, with attempt, worker and times."""
    run = await _running(world, await _register(world))
    await world.fail(run, "dead", failure=FAILURE)
    await starter.start_owed()
    hook = (await _hook_of(world, run)).hook
    failure = hook.failures["work"]
    assert (hook.task_name, hook.output_json, list(hook.failures)) == ("alert", b"", ["work"])
    assert (failure.type, failure.message, failure.attempt, failure.worker_id) == ("ValueError", "no", 1, "w1")
    assert failure.traceback == "a line"
    assert failure.failed_at_ms


async def test_what_a_slow_scheduler_read_before_another_one_started_it_starts_nothing(
    world: World, starter: HookStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end has one hook, whoever starts it, and however often."""
    run = await _running(world, await _register(world))
    await world.complete(run)
    owed = await world.shard.hooks.owed()
    await starter.start_owed()

    async def read_before() -> Any:
        return owed

    monkeypatch.setattr(world.shard.hooks, "owed", read_before)
    await starter.start_owed()
    assert len((await world.look()).phases()) == 2


async def test_a_hook_has_the_terms_of_its_own_task(world: World, starter: HookStarter) -> None:
    """Timeouts, permits, labels; none of those of the workflow's task."""
    key = {"expression": "string(input.id)", "max_runs": 2}
    definition = await _register(
        world,
        concurrency=[key],
        on_success={
            "name": "cheer",
            "execution_timeout_ms": 5_000,
            "schedule_timeout_ms": 60_000,
            "concurrency": [key],
            "slot_cost": 2,
        },
    )
    run = await _running(world, definition)
    await world.complete(run)
    await starter.start_owed()
    s = await world.look()
    fields = s.hash(f"r:{run_id_of(run, 0)}")
    assert (fields["x"], fields["xs"]) == (b"5000", b"1")
    assert b"on_success0" in fields["g"]
    assert b"|w0|" not in fields["g"]
    assert fields["f"].endswith(b"x2")


async def test_a_hook_keeps_metadata_that_defaults_have_made_large(world: World, starter: HookStarter) -> None:
    """The caller's and the workflow's are within the limit, each by itself."""
    defaults = json.dumps({"about": "x" * (MAX_METADATA_BYTES - 100)}).encode()
    run = await _running(world, await _register(world, default_metadata_json=defaults), note="y" * 1_000)
    await world.complete(run)
    await starter.start_owed()
    metadata = (await _hook_of(world, run)).metadata_json
    assert len(metadata) > MAX_METADATA_BYTES
    assert json.loads(metadata).keys() == {"about", "who", "note"}


async def test_the_largest_output_fits_beside_the_largest_input(world: World, starter: HookStarter) -> None:
    """Whatever a submit and a worker may say, a hook can be told."""
    definition = await _register(world, default_metadata_json=b'{"a":1}')
    await world.connect()
    spec = run_pb2.RunSpec(
        workflow_name="t",
        input_json=b'"%b"' % (b"x" * (MAX_PAYLOAD_BYTES - 2)),
        # With the defaults it is written anew, each letter as six bytes in place of two: all that is taken.
        metadata_json=b'{"n":"%b"}' % ("é" * 32_755).encode(),
    )
    run = check_submission(
        run_service_pb2.RunSubmission(spec=spec), definition, namespace=NAMESPACE, wait=False, path="run"
    )
    await world.shard.runs.submit(NAMESPACE, "a1", [], [run])
    await world.match()
    await world.complete(run.run_id, output=b'{"work":"%b"}' % (b"x" * (MAX_PAYLOAD_BYTES - 2)))
    await starter.start_owed()
    assert (await _hook_of(world, run.run_id)).hook.run_id == run.run_id


async def test_a_limit_that_was_deleted_since_does_not_keep_a_hook_from_starting(
    world: World, starter: HookStarter
) -> None:
    """The submit was refused while there was none; what is owed is started without it."""
    definition = await _register(world, on_failure={"name": "alert", "rate_limits": [{"static_key": "mail"}]})
    with pytest.raises(InvalidField, match="nobody has put the rate limit 'mail'"):
        await _running(world, definition)
    run = await _running(world, definition, mail=5)
    await world.fail(run, "dead", failure=FAILURE)
    await starter.start_owed()
    assert "g" not in (await world.look()).hash(f"r:{run_id_of(run, 0)}")


async def test_nobody_but_the_engine_submits_a_hook(world: World) -> None:
    """A caller's is refused by its name."""
    definition = await _register(world)
    spec = run_pb2.RunSpec(workflow_name="t", hook=run_pb2.Hook(run_id="x", task_name="cheer"))
    with pytest.raises(InvalidField, match=r"^run\.spec\.hook: the engine sets it") as raised:
        check_submission(
            run_service_pb2.RunSubmission(spec=spec), definition, namespace=NAMESPACE, wait=False, path="run"
        )
    assert raised.value.field == "run.spec.hook"


async def test_started_hooks_count_as_submitted_runs(world: World) -> None:
    """By their workflow."""
    counted: list[tuple[str, int]] = []

    class Counting(Metrics):
        @override
        def submitted(self, workflow: str, count: int) -> None:
            counted.append((workflow, count))

    run = await _running(world, await _register(world))
    await world.complete(run)
    starter = HookStarter(world.shard, DefinitionCache(world.shard.definitions), Counting())
    await starter.start_owed()
    await starter.start_owed()
    assert counted == [("t", 1)]


def test_the_id_of_a_hook_s_run_follows_from_the_end() -> None:
    """Another end has another, and it stands next to the run that has ended."""
    run = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert run_id_of(run, 0) == run_id_of(run, 0)
    assert len({run, run_id_of(run, 0), run_id_of(run, 1)}) == 3
    assert run_id_of(run, 3)[:13] == run[:13]
