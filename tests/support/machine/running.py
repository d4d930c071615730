"""Owns how a state machine is run: on a shard and a loop of its own, and bounded by its steps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from windlass_core.store.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable


def run_machine(
    machine: Callable[[Shard, asyncio.Runner], RuleBasedStateMachine], store_url: str, *, examples: int
) -> None:
    """Run so many examples of forty steps each."""
    with asyncio.Runner() as runner:
        shard = Shard(store_url)
        try:
            run_state_machine_as_test(
                lambda: machine(shard, runner),  # type: ignore[arg-type] # documented: what makes one
                settings=settings(
                    max_examples=examples,
                    # To find the shortest story of a failure takes minutes; this one is short enough.
                    phases=[hypothesis.Phase.generate],
                    stateful_step_count=40,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(shard.close())
