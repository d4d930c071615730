"""The rate limits that definitions name: what is at hand, and when the store is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass.v1 import workflow_pb2
from windlass_core.domain.definition import check_definition
from windlass_core.domain.errors import InvalidField, NotFound
from windlass_core.named_limits import NamedLimits
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass_core.store.shard import Shard

_TASK = workflow_pb2.TaskDefinition(name="a", rate_limits=[workflow_pb2.RateLimit(static_key="mail")])
MAIL = check_definition(workflow_pb2.WorkflowDefinition(name="a", tasks=[_TASK]), "w")
RUN = Submission("run", b"", "ns|default|a", 2, "v")


class Needs:
    """A submission that takes so many units of a limit; notes which limits it is shown."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.shown: list[dict[str, int]] = []

    def __call__(self, *, limits: dict[str, int]) -> Submission:
        self.shown.append(limits)
        if "mail" not in limits:
            raise NotFound("nobody has put it", "f")
        if self.units > limits["mail"]:
            raise InvalidField("too many", "f")
        return RUN


@pytest.fixture
def asked(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Give what the store is asked for."""
    calls: list[Sequence[str]] = []
    limits = shard.rate_limits.limits

    async def note(namespace: str, names: Sequence[str]) -> dict[str, int]:
        calls.append(names)
        return await limits(namespace, names)

    monkeypatch.setattr(shard.rate_limits, "limits", note)
    return calls


async def test_the_store_is_asked_once_for_many_submits(shard: Shard, asked: list[Sequence[str]]) -> None:
    """And again when what is at hand has had its time."""
    await shard.rate_limits.put(NAMESPACE, "mail", 5, 1_000)
    limits = NamedLimits(shard.rate_limits)
    for _ in range(3):
        assert await limits.check_with(NAMESPACE, MAIL, Needs(5)) is RUN
    assert asked == [("mail",)]
    limits._at_hand = {key: (0.0, limit) for key, (_, limit) in limits._at_hand.items()}
    await limits.check_with(NAMESPACE, MAIL, Needs(5))
    assert len(asked) == 2


async def test_nothing_is_refused_for_what_was_at_hand(shard: Shard) -> None:
    """Somebody may have put more a moment ago, through another api."""
    await shard.rate_limits.put(NAMESPACE, "mail", 5, 1_000)
    limits = NamedLimits(shard.rate_limits)
    await limits.check_with(NAMESPACE, MAIL, Needs(5))
    await shard.rate_limits.put(NAMESPACE, "mail", 9, 1_000)
    needs = Needs(9)
    assert await limits.check_with(NAMESPACE, MAIL, needs) is RUN
    assert needs.shown == [{"mail": 5}, {"mail": 9}]
    with pytest.raises(InvalidField, match="too many"):
        await limits.check_with(NAMESPACE, MAIL, Needs(10))


async def test_what_nobody_has_put_is_asked_for_each_time(shard: Shard) -> None:
    """It counts as soon as it is there; another namespace's counts for nobody else."""
    limits = NamedLimits(shard.rate_limits)
    await shard.rate_limits.put("other", "mail", 5, 1_000)
    with pytest.raises(NotFound):
        await limits.check_with(NAMESPACE, MAIL, Needs(1))
    await shard.rate_limits.put(NAMESPACE, "mail", 5, 1_000)
    assert await limits.check_with(NAMESPACE, MAIL, Needs(1)) is RUN
