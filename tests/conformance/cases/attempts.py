"""What becomes of an assignment: accepted in time, executed, reported."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import case
from tests.support.scripted_dispatcher import assignment

if TYPE_CHECKING:
    from tests.conformance.rig import Rig

_VALUES = [
    None, True, "", "Grüße, 世界 🚀", '"\\/\b\f\n\r\t\u0001\u2028', {"": {"nested": [[], {}, [1, [2]]]}},
    0, -1, 2**53 - 1, 0.1, -1.5e-7, 1e21,
]  # fmt: skip


@case
async def json_is_kept_exactly(rig: Rig) -> None:
    """Input and output are JSON: Unicode, nesting, numbers and null come back as they were."""
    link = await rig.connect()
    attempt = work.echo(_VALUES)
    link.assign(attempt)
    outcome = await link.outcome(attempt)
    work.expect_output(outcome, {"value": _VALUES})
    assert outcome.run_id == attempt.run_id, f"run_id: expected {attempt.run_id}, got {outcome.run_id!r}"


@case
async def empty_input_is_an_empty_object(rig: Rig) -> None:
    """An assignment without input_json is executed with {}."""
    link = await rig.connect()
    attempt = assignment("conformance.echo", b"")
    link.assign(attempt)
    work.expect_output(await link.outcome(attempt), {})


@case
async def accepts_within_the_timeout(rig: Rig) -> None:
    """An assignment that takes long is accepted within accept_timeout_ms."""
    rig.dispatcher.welcome.accept_timeout_ms = 2_000
    link = await rig.connect()
    attempt = work.hold()
    sent_at = rig.now()
    link.assign(attempt)
    await link.acceptance(attempt)
    assert rig.now() - sent_at < 2, f"accepted only after {rig.now() - sent_at:.1f} s, and the timeout is 2 s"


@case
async def fills_its_slots_and_no_more(rig: Rig) -> None:
    """Slots are used at the same time; what is delivered beyond them is accepted, and waits for one."""
    link = await rig.connect(slots=2)
    attempts = [work.hold(400) for _ in range(5)]
    sent_at = rig.now()
    link.assign(*attempts)
    for attempt in attempts:
        work.expect_output(await link.outcome(attempt), {"held": 400})
    seconds, rounds = rig.now() - sent_at, math.ceil(len(attempts) / 2)
    assert seconds >= 0.4 * rounds - 0.02, (
        f"5 attempts of 400 ms took {seconds:.2f} s: more than 2 executed at the same time"
    )


@case
async def a_batch_is_answered_one_by_one(rig: Rig) -> None:
    """Of several assignments in one message each gets its own answer, once."""
    link = await rig.connect(slots=20)
    attempts = [work.echo(number) for number in range(19)]
    failing = work.fail("one of many")
    link.assign(*attempts[:10], failing, *attempts[10:])
    for number, attempt in enumerate(attempts):
        work.expect_output(await link.outcome(attempt), {"value": number})
    work.expect_failure(await link.outcome(failing))
    await rig.execute_for(link, 1)
    assert len(link.outcomes) == 21, f"expected 21 answers, got {len(link.outcomes)}"


@case
async def a_failure_has_type_and_message(rig: Rig) -> None:
    """A task's error is reported with its type and its message, to be retried as the policy says."""
    link = await rig.connect()
    attempt = work.fail("the disk is füll")
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    message = failed.failure.message
    assert message == "the disk is füll", f"expected the message 'the disk is füll', got {message!r}"
    assert not failed.failure.non_retryable, "non_retryable: expected false"
    assert failed.run_id == attempt.run_id, f"run_id: expected {attempt.run_id}, got {failed.run_id!r}"


@case
async def a_failure_can_be_final(rig: Rig) -> None:
    """An error that the task says not to retry is reported as non_retryable."""
    link = await rig.connect()
    attempt = work.fail("no such customer", retryable=False)
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    assert failed.failure.non_retryable, "non_retryable: expected true"


@case
async def an_unknown_task_fails(rig: Rig) -> None:
    """An assignment of a task that the worker does not have is reported failed, not handed back."""
    link = await rig.connect()
    attempt = assignment("conformance.no-such-task")
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    kind = failed.failure.type
    assert kind == "UnknownTask", f"expected a failure of type UnknownTask, got {kind}"
    assert "conformance.no-such-task" in failed.failure.message, (
        f"expected a message that names the task, got {failed.failure.message!r}"
    )
    await rig.execute_for(link, 1)


@case
async def a_task_is_known_by_both_names(rig: Rig) -> None:
    """Workflow and task together say what to execute: a task of another workflow is an unknown one."""
    link = await rig.connect()
    attempt = assignment("conformance.echo", workflow="conformance.fail")
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    kind = failed.failure.type
    assert kind == "UnknownTask", f"expected a failure of type UnknownTask, got {kind}"
    await rig.execute_for(link, 1)


@case
async def broken_json_fails_for_good(rig: Rig) -> None:
    """Input that is not JSON is reported as a failure that is not retried."""
    link = await rig.connect()
    attempt = assignment("conformance.hold", b'{"ms": ')
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    assert failed.failure.non_retryable, "non_retryable: expected true"
    await rig.execute_for(link, 1)


@case
async def invalid_input_fails_for_good(rig: Rig) -> None:
    """Input of another shape than the task takes is reported as a failure that is not retried."""
    link = await rig.connect()
    attempt = assignment("conformance.hold", b'{"ms": "soon"}')
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    assert failed.failure.non_retryable, "non_retryable: expected true"
    await rig.execute_for(link, 1)


@case
async def too_large_an_output_fails(rig: Rig) -> None:
    """An output over max_payload_bytes is reported as PayloadTooLarge, not retried; one below it is sent."""
    rig.dispatcher.welcome.max_payload_bytes = 10_000
    link = await rig.connect()
    large, fitting = work.big(10_001), work.big(9_900)
    link.assign(large, fitting)
    failed = work.expect_failure(await link.outcome(large))
    kind = failed.failure.type
    assert kind == "PayloadTooLarge", f"expected a failure of type PayloadTooLarge, got {kind}"
    assert failed.failure.non_retryable, "non_retryable: expected true"
    work.expect_output(await link.outcome(fitting), {"data": "x" * 9_900})


@case
async def an_attempt_ends_at_its_timeout(rig: Rig) -> None:
    """An attempt that runs longer than execution_timeout_ms is stopped and reported as ExecutionTimeout."""
    link = await rig.connect()
    attempt = work.hold(execution_timeout_ms=300)
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    kind = failed.failure.type
    assert kind == "ExecutionTimeout", f"expected a failure of type ExecutionTimeout, got {kind}"
