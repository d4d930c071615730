"""All scripts in any order, against an oracle, audited after each."""

from __future__ import annotations

import pytest

from tests.support.machine.attempts import Attempts
from tests.support.machine.running import run_machine
from tests.support.machine.submits import Submits
from tests.support.machine.upkeep import Upkeep


class Scripts(Submits, Attempts, Upkeep):
    """One shard, one dispatcher, two workers, two tasks."""


# A bound on its steps and not on its time, which is the machine's.
@pytest.mark.timeout(900)
def test_any_order_of_scripts_does_what_the_oracle_says(store_url: str) -> None:
    """Bounded: some three thousand steps."""
    run_machine(Scripts, store_url, examples=80)
