"""A part of the engine stands still for longer than the others take it for alive, and goes on."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.history import check
from tests.support.ordeal import Ordeal
from windlass_core.service import PRESENCE_TTL_MS

if TYPE_CHECKING:
    from pathlib import Path

    from windlass_core.local import ProcessName

STOPPED_S = PRESENCE_TTL_MS / 1000 + 3.0
#: Nobody loses a session meanwhile: not one run may be executed again.
LONG_SESSIONS = {"WINDLASS_SESSION_TTL": "90"}


@pytest.mark.long
@pytest.mark.parametrize("service", ["store", "api", "dispatcher", "scheduler"])
def test_a_stop_loses_and_repeats_nothing(tmp_path: Path, service: ProcessName) -> None:
    """What was on its way is asked for anew; calls that were given up on and done all the same are harmless."""
    with Ordeal(tmp_path, settings=LONG_SESSIONS) as ordeal:
        ordeal.workers("one", "other")
        stopped = ordeal.cluster.processes(service)[0]
        ordeal.call()
        ordeal.until_begun(ordeal.runs // 4)
        stopped.send(signal.SIGSTOP)
        ordeal.call(100)
        time.sleep(STOPPED_S)
        stopped.send(signal.SIGCONT)
        assert check(ordeal.history()) == []
