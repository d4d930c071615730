"""Owns what is made of a failed attempt: which policy and budget count, and the verdict for the store.

Called where a worker reported the failure, and where the engine itself ended the attempt.
"""

from typing import NamedTuple

from windlass.v1 import run_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.definition import check_policy
from windlass_core.domain.names import flow_task
from windlass_core.domain.retry import Budget, Policy, RetryAfter, decide_retry
from windlass_core.randomness import uniform
from windlass_core.store.runs import Failed, FailureVerdict

_NO_RETRY = Policy()


class Terms(NamedTuple):
    """What a run may ask for when it fails; without a budget nothing bounds the retries of all runs."""

    policy: Policy
    budget: Budget | None = None


class Judgement(NamedTuple):
    """What the store is to make of an attempt, and after how many milliseconds.

    `budget` is the one to which the verdict is subject, or which a first attempt adds to.
    """

    verdict: FailureVerdict
    delay_ms: int = 0
    budget: Budget | None = None

    def of(self, run_id: str, lease_id: str, body: bytes) -> Failed:
        """The attempt with its failure, as the store takes it."""
        if self.budget is None:
            return run_id, lease_id, self.verdict, self.delay_ms, body
        return run_id, lease_id, self.verdict, self.delay_ms, body, self.budget


async def terms_of(
    definitions: DefinitionCache, namespace: str, flow: str, version: str, spec: run_pb2.RunSpec
) -> Terms:
    """The terms of a run: its own policy, else that of the version that it began with, and that one's budget."""
    definition = await definitions.version(namespace, flow_task(flow), version)
    if spec.HasField("retry"):
        policy = check_policy(spec.retry, "spec.retry")
    else:
        policy = definition.task_of(spec).retry if definition else _NO_RETRY
    return Terms(policy, definition.budget if definition else None)


def judge(terms: Terms, attempt: int, failure: run_pb2.Failure) -> Judgement:
    """The verdict on a failed attempt."""
    decision = decide_retry(
        terms.policy,
        attempt=attempt,
        error_types=(failure.type, *failure.base_types),
        non_retryable=failure.non_retryable,
        random=uniform(),
    )
    if isinstance(decision, RetryAfter):
        return Judgement("retry", decision.delay_ms, terms.budget)
    return Judgement("dead", budget=terms.budget if attempt == 1 else None)
