"""Owns what is made of a failed attempt: which policy counts, and the verdict for the store.

Called where a worker reported the failure, and where the engine itself ended the attempt.
"""

from windlass.v1 import run_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.definition import check_policy
from windlass_core.domain.names import flow_task
from windlass_core.domain.retry import Policy, RetryAfter, decide_retry
from windlass_core.randomness import uniform
from windlass_core.store.runs import FailureVerdict

_NO_RETRY = Policy()


async def policy_of(
    definitions: DefinitionCache, namespace: str, flow: str, version: str, spec: run_pb2.RunSpec
) -> Policy:
    """The policy of a run: its own, else that of the version that it began with."""
    if spec.HasField("retry"):
        return check_policy(spec.retry, "spec.retry")
    definition = await definitions.version(namespace, flow_task(flow), version)
    return definition.retry if definition else _NO_RETRY


def judge(policy: Policy, attempt: int, failure: run_pb2.Failure) -> tuple[FailureVerdict, int]:
    """The verdict on a failed attempt, and the delay of the next one in milliseconds."""
    decision = decide_retry(
        policy,
        attempt=attempt,
        error_type=failure.type,
        non_retryable=failure.non_retryable,
        random=uniform(),
    )
    return ("retry", decision.delay_ms) if isinstance(decision, RetryAfter) else ("dead", 0)
