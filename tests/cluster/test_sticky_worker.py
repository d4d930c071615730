"""Kill -9 of the worker that runs are bound to: those that need it fail, those that prefer it go elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.ordeal import SHORT_SESSIONS, Ordeal
from tests.support.until import until
from windlass import ClientConfig, InvalidInput, RunStatus, StickyStrategy, TaskRunError, Windlass

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_bound_to_a_killed_worker_fail_and_others_go_elsewhere(tmp_path: Path) -> None:
    """What it was executing, what waited for it, and what comes later; each says why."""
    with (
        Ordeal(tmp_path, settings=SHORT_SESSIONS) as ordeal,
        Windlass(config=ClientConfig(api_address=ordeal.cluster.api_address)) as app,
    ):
        one = ordeal.worker("one", slots=1)
        held = app.enqueue("held", {}, desired_worker_id=one.id)
        until(lambda: held.status() is RunStatus.RUNNING, "the worker has its hands full")
        bound = [app.enqueue("work", {}, desired_worker_id=one.id) for _ in range(3)]
        later = app.enqueue("work", {}, desired_worker_id=one.id, delay=4)
        soft = [app.enqueue("work", {}, desired_worker_id=one.id, sticky=StickyStrategy.SOFT) for _ in range(3)]
        ordeal.worker("other")
        assert all(ref.result(timeout=60) for ref in soft)
        assert {ref.status() for ref in bound} == {RunStatus.QUEUED}
        one.kill()
        for ref in (held, *bound, later):
            with pytest.raises(TaskRunError) as told:
                ref.result(timeout=60)
            assert told.value.type == "WorkerGone"
        with pytest.raises(InvalidInput, match="placement"):
            app.enqueue("work", {}, desired_worker_id=one.id)
