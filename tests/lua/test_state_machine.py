"""All scripts in any order, against an oracle, audited after each."""

from __future__ import annotations

import asyncio

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.machine.attempts import Attempts
from tests.support.machine.submits import Submits
from tests.support.machine.upkeep import Upkeep
from windlass_core.store.shard import Shard


class Scripts(Submits, Attempts, Upkeep):
    """One shard, one dispatcher, two workers, two tasks."""


# A bound on its steps and not on its time, which is the machine's.
@pytest.mark.timeout(900)
def test_any_order_of_scripts_does_what_the_oracle_says(store_url: str) -> None:
    """Bounded: some three thousand steps."""
    with asyncio.Runner() as runner:
        shard = Shard(store_url)
        try:
            run_state_machine_as_test(
                lambda: Scripts(shard, runner),  # type: ignore[arg-type] # documented: what makes one
                settings=settings(
                    max_examples=80,
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
