"""Workflows where they are defined: decorators, definitions, what is refused, and their calls."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.orders import OrderInput, Receipt
from windlass import ConcurrencyExpression, Context, Cron, Priority, RateLimit, Windlass
from windlass.config import ClientConfig
from windlass.exceptions import DuplicateTask, InvalidInput, InvalidTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fake_api import FakeApi
    from windlass import Workflow


def test_the_definition_has_the_task_and_both_hooks(app: Windlass) -> None:
    """What concerns runs is the workflow's, what concerns attempts each task's own."""
    orders = app.workflow(
        name="orders",
        description="Takes money.",
        input_validator=OrderInput,
        default_priority=Priority.HIGH,
        queue="money",
        concurrency=ConcurrencyExpression("input.order_id"),
        on_crons=[Cron("@daily", input={"order_id": "nightly"})],
    )

    @orders.task(name="charge", retries=2, rate_limits=[RateLimit(static_key="bank", units=2)], concurrency=3)
    async def _charge(input: OrderInput, ctx: Context) -> None: ...

    @orders.on_failure_task(execution_timeout="10s", executor="process")
    def refund(order_id: str) -> None: ...

    @orders.on_success_task
    def thank(ctx: Context) -> None: ...

    definition = orders.definition()
    assert (definition.name, definition.description, definition.default_queue) == ("orders", "Takes money.", "money")
    assert (definition.default_priority, definition.output_by_task) == (3, True)
    [key] = definition.concurrency
    assert key.expression == "input.order_id"
    [cron] = definition.crons
    assert cron.input_json == b'{"order_id":"nightly","amount":1}'
    assert b'"amount"' in definition.input_schema_json
    [charge] = definition.tasks
    assert (charge.name, charge.retry.max_attempts, charge.rate_limits[0].units) == ("charge", 3, 2)
    assert [each.max_runs for each in charge.concurrency] == [3]
    assert (definition.on_failure.name, definition.on_failure.execution_timeout_ms) == ("refund", 10_000)
    assert (definition.on_success.name, definition.on_success.retry.max_attempts) == ("thank", 1)
    assert orders.definition() is definition


def test_a_workflow_without_hooks_has_none_in_its_definition(orders: Workflow[OrderInput]) -> None:
    """Nothing follows its runs then."""

    @orders.task
    def charge(order_id: str) -> None: ...

    assert not orders.definition().HasField("on_failure")
    assert not orders.definition().HasField("on_success")


def test_it_is_known_by_its_name_beside_the_tasks(app: Windlass, orders: Workflow[OrderInput]) -> None:
    """Its task and its hooks are not: they are the workflow's."""

    @app.task
    def alone() -> None: ...

    @orders.task
    def charge(order_id: str) -> None: ...

    assert dict(app.tasks) == {"orders": orders, "alone": alone}
    assert [task.name for task in orders.tasks] == ["charge"]


def test_include_adds_a_modules_workflows(app: Windlass) -> None:
    """And takes what they are made of for what it is."""
    others = Windlass()
    module: Any = types.ModuleType("orders")
    module.orders = others.workflow(name="orders")
    module.charge = module.orders.task(lambda_named("charge"))
    app.include(module)
    assert dict(app.tasks) == {"orders": module.orders}


def lambda_named(name: str) -> Callable[[], None]:
    """A function of that name."""

    def function() -> None: ...

    function.__name__ = name
    return function


def test_an_input_without_annotation_is_the_workflows(orders: Workflow[OrderInput]) -> None:
    """In the task and in hooks."""

    @orders.task
    def charge(input, ctx):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - what is tested
        return input.amount

    @orders.on_success_task
    def thank(input, ctx):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - what is tested
        return type(input).__name__

    assert charge.mock_run(OrderInput(order_id="a", amount=3)) == 3
    assert thank.mock_run(OrderInput(order_id="a")) == "OrderInput"


def test_without_a_model_the_input_is_what_the_task_takes(app: Windlass) -> None:
    """Its parameters are the fields; a hook takes of them what it names, or all where it does not say."""
    orders = app.workflow(name="orders")

    @orders.task
    def charge(order_id: str, amount: int = 1) -> int:
        return amount

    @orders.on_failure_task
    def refund(ctx: Context, order_id: str) -> str:
        return order_id

    @orders.on_success_task
    def thank(input: dict[str, Any], ctx: Context) -> dict[str, Any]:
        return input

    assert orders.mock_run({"order_id": "a", "amount": 2}) == {"charge": 2}
    with pytest.raises(InvalidInput, match="order_number"):
        orders.mock_run({"order_id": "a", "order_number": 2})
    assert refund.form.input.write_value({"order_id": "a", "amount": 2}) == b'{"order_id":"a"}'
    assert thank.mock_run({"order_id": "a"}) == {"order_id": "a"}


@pytest.mark.parametrize("name", ["run", "aio_run", "delay", "run_many", "schedule", "create_cron", "options"])
def test_a_task_of_a_workflow_has_no_runs_of_its_own(orders: Workflow[OrderInput], name: str) -> None:
    """It says whose it has; it can be called, as any task."""

    @orders.task
    def charge(order_id: str) -> str:
        return order_id

    assert charge("a") == charge.mock_run("a") == "a"
    with pytest.raises(AttributeError, match=f"'charge' has no {name} of its own.*workflow 'orders'"):
        getattr(charge, name)
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        getattr(charge, "rnu")  # noqa: B009 - no type checker lets it pass


def test_a_second_task_is_refused_for_now(orders: Workflow[OrderInput]) -> None:
    """So is a second hook of a kind; the error says where the first one is."""

    @orders.task
    def charge(order_id: str) -> None: ...

    @orders.on_failure_task
    def refund(order_id: str) -> None: ...

    with pytest.raises(InvalidTask, match=r"'orders' has its task: for now .* one, and that is 'charge' at .*\.py:\d+"):
        orders.task(lambda_named("ship"))
    with pytest.raises(InvalidTask, match=r"'orders' has its on_failure_task, and takes one, .* 'refund' at"):
        orders.on_failure_task(lambda_named("weep"))


def test_two_functions_of_one_name_are_refused(orders: Workflow[OrderInput]) -> None:
    """In one workflow; in another the name is free."""

    @orders.task
    def charge(order_id: str) -> None: ...

    with pytest.raises(DuplicateTask, match=r"two functions are named 'charge' in workflow 'orders': .*charge\) and"):
        orders.on_success_task(name="charge")(lambda_named("thank"))


def test_a_name_that_a_task_has_is_refused(app: Windlass) -> None:
    """Workflows and tasks are run by their names."""

    @app.task
    def orders() -> None: ...

    with pytest.raises(DuplicateTask, match=r"two tasks or workflows are named 'orders': .*orders\) and .*workflow"):
        app.workflow(name="orders")


def test_without_a_task_it_can_be_neither_run_nor_served(app: Windlass, orders: Workflow[OrderInput]) -> None:
    """Every way says which workflow it is, and what it lacks."""
    said = r"conftest\.py:\d+ .*: workflow 'orders' has no task"
    order = OrderInput(order_id="a")
    ways: list[Callable[[], object]] = [
        lambda: orders.run(order),
        lambda: orders.mock_run(order),
        lambda: app.enqueue("orders", {"order_id": "a"}),
        lambda: orders.create_cron("nightly", "@daily", order),
        orders.definition,
    ]
    for way in ways:
        with pytest.raises(InvalidTask, match=said):
            way()


async def test_a_worker_does_not_serve_it_without_a_task(app: Windlass, orders: Workflow[OrderInput]) -> None:
    """It says so before it connects."""
    for worker in (app.worker("all"), app.worker("one", workflows=[orders])):
        with pytest.raises(InvalidTask, match="workflow 'orders' has no task"):
            await worker.aio_start()


def test_a_worker_serves_workflows_and_not_their_tasks(app: Windlass, orders: Workflow[OrderInput]) -> None:
    """Whoever names a task of a workflow is told whose it is."""

    @orders.task
    def charge(order_id: str) -> None: ...

    with pytest.raises(AttributeError, match="runs of its workflow 'orders': use the workflow's"):
        app.worker("one", workflows=[charge])  # type: ignore[list-item] # what is refused


def test_hooks_come_before_the_first_use(orders: Workflow[OrderInput]) -> None:
    """One that came later would follow some runs, and others not."""

    @orders.task
    def charge(order_id: str) -> None: ...

    orders.definition()
    with pytest.raises(InvalidTask, match="'orders' has been run or served already"):
        orders.on_failure_task(lambda_named("refund"))


def test_what_is_of_the_other_level_is_refused(app: Windlass, orders: Workflow[OrderInput]) -> None:
    """Keys of whole runs at the workflow, keys of attempts at its task."""
    with pytest.raises(InvalidTask, match='level="workflow" was expected'):
        app.workflow(name="w", concurrency=ConcurrencyExpression("input.a", level="task"))
    with pytest.raises(InvalidTask, match='level="task" was expected'):
        orders.task(concurrency=ConcurrencyExpression("input.a"))(lambda_named("charge"))
    with pytest.raises(TypeError, match="on_crons"):
        orders.task(on_crons=["@daily"])  # type: ignore[call-overload] # what is refused
    with pytest.raises(TypeError, match="retries"):
        app.workflow(name="w2", retries=3)  # type: ignore[call-overload] # what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "a b"}, "name='a b'"),
        ({"default_priority": 9}, "9 is not a valid Priority"),
        ({"retry_budget": 3}, "retry_budget takes a RetryBudget"),
        ({"on_crons": "@daily"}, "on_crons='@daily': a list"),
        ({"input_validator": types.FrameType}, "input_validator is frame"),
    ],
)
def test_wrong_options_are_refused_with_their_place(app: Windlass, options: dict[str, Any], said: str) -> None:
    """Where the workflow is made."""
    with pytest.raises(InvalidTask, match=rf"test_sdk_workflow\.py:\d+ \(workflow .*\): .*{said}"):
        app.workflow(**{"name": "w", **options})


def test_the_input_of_a_cron_has_to_fit(app: Windlass) -> None:
    """Checked when the task is there, which may say what the input is."""
    orders = app.workflow(name="orders", on_crons=[Cron("@daily", name="nightly", input={"order_id": 3})])
    with pytest.raises(InvalidTask, match=r"cron 'nightly': .*order_id: Input should be a valid string"):

        @orders.task
        def charge(order_id: str) -> None: ...


async def test_it_is_called_as_a_task_is(api: FakeApi) -> None:
    """Its input checked by its model; outputs come as they are told."""
    async with Windlass(config=ClientConfig(api_address=api.address)) as app:
        orders = app.workflow(name="orders", input_validator=OrderInput)

        @orders.task
        async def charge(input: OrderInput, ctx: Context) -> Receipt:
            return Receipt(charged=input.amount)

        told = {"order_id": "a", "amount": 1}
        order = OrderInput(order_id="a")
        assert await orders.aio_run(order) == told
        assert (await orders.aio_delay(order)).id in api.submitted
        items = [orders.create_bulk_run_item(order, priority=Priority.LOW) for _ in range(3)]
        assert await orders.aio_run_many(items) == [told] * 3
        assert await orders.options(priority=Priority.HIGH).aio_run(order) == told
        assert await app.aio_enqueue("orders", {"order_id": "a"}, wait_for_result=True) == told
        with pytest.raises(InvalidInput, match="input of workflow 'orders'"):
            await orders.aio_run()
    assert [each.priority for each in api.submitted.values()] == [0, 0, 1, 1, 1, 3, 0]
    assert api.registered == ["orders"]
