"""What is made of a failed attempt: whose policy counts, and when the budget is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windlass.v1 import run_pb2, workflow_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.retry import Budget, Policy
from windlass_core.judgement import Judgement, Terms, judge, terms_of

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard

_BUDGET = Budget(0.2, 10)
_FAILURE = run_pb2.Failure(type="E")
_FLOW = "ns|default|a"


async def _terms(shard: Shard, **spec: Any) -> Terms:
    definitions = DefinitionCache(shard.definitions)
    message = workflow_pb2.WorkflowDefinition(
        name="a",
        tasks=[workflow_pb2.TaskDefinition(name="a", retry=workflow_pb2.RetryPolicy(max_attempts=3))],
        retry_budget=workflow_pb2.RetryBudget(ratio=0.2, min_per_minute=10),
    )
    (definition,) = await definitions.register("ns", [message], "w")
    return await terms_of(definitions, "ns", _FLOW, definition.version, run_pb2.RunSpec(**spec))


async def test_a_run_has_its_own_policy_or_its_definitions(shard: Shard) -> None:
    """The budget is the workflow's in both cases."""
    assert await _terms(shard) == Terms(Policy(max_attempts=3), _BUDGET)
    own = await _terms(shard, retry={"max_attempts": 9})
    assert (own.policy.max_attempts, own.budget) == (9, _BUDGET)


async def test_a_version_that_is_gone_retries_nothing(shard: Shard) -> None:
    """Nobody knows its terms."""
    definitions = DefinitionCache(shard.definitions)
    assert await terms_of(definitions, "ns", _FLOW, "v0", run_pb2.RunSpec()) == Terms(Policy())


def test_a_retry_and_a_first_attempt_have_to_do_with_the_budget() -> None:
    """Others do not: they neither take nor add."""
    terms = Terms(Policy(max_attempts=3), _BUDGET)
    final = run_pb2.Failure(type="E", non_retryable=True)
    assert judge(terms, 2, _FAILURE) == Judgement("retry", 0, _BUDGET)
    assert judge(terms, 1, final) == Judgement("dead", 0, _BUDGET)
    assert judge(terms, 3, _FAILURE) == Judgement("dead")
    assert judge(Terms(Policy(max_attempts=3)), 1, _FAILURE) == Judgement("retry")


def test_without_a_budget_the_store_is_told_nothing_of_one() -> None:
    """What a plain failure costs stays as it is."""
    assert Judgement("retry", 5).of("run", "lease", b"f") == ("run", "lease", "retry", 5, b"f")
    assert Judgement("retry", 5, _BUDGET).of("run", "lease", b"f") == ("run", "lease", "retry", 5, b"f", _BUDGET)
