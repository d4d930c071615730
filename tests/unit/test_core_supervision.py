"""What ends by a fault is started again, however often that fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.support.until import until
from windlass_core import supervision
from windlass_core.lifeline import Lifeline
from windlass_core.local import Process
from windlass_core.supervision import Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_READY = """
import os, signal
pipe = int(os.environ["WINDLASS_READY_FD"])
os.write(pipe, b"{}\\n")
os.close(pipe)
signal.pause()
"""


def test_a_machine_without_room_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one whose disk is full, or that has no processes left: it may have by then."""
    monkeypatch.setattr(supervision, "FIRST_DELAY_S", 0.01)
    logs, away = tmp_path / "logs", tmp_path / "away"
    logs.mkdir()
    lifeline = Lifeline(str(tmp_path))
    process = Process("api", [sys.executable, "-c", _READY], {}, logs / "api.log", lifeline)
    said: list[str] = []
    try:
        process.start()
        process.wait_ready()
        supervisor = Supervisor([process], said.append)
        logs.rename(away)
        process.kill()
        until(lambda: any("can't be started" in line for line in said), "it fails to start")
        away.rename(logs)
        until(lambda: any("is up again" in line for line in said), "it is up again")
        supervisor.stop()
    finally:
        process.stop()
        lifeline.let_go()
