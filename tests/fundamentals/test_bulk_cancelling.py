"""Cancelling many runs at once."""

import pytest

from windlass import InvalidInput, RunFilter, RunStatus, Windlass


async def test_all_that_a_filter_means_are_cancelled(app: Windlass) -> None:
    """And nothing else; a filter without a condition has to say that it means all runs."""

    @app.task
    def mail(to: str) -> None: ...

    for tenant in ("acme", "globex"):
        tagged = mail.options(additional_metadata={"tenant": tenant})
        await mail.aio_run_many(
            [tagged.create_bulk_run_item(f"{number}@{tenant}") for number in range(150)], wait_for_result=False
        )
    wanted = RunFilter(workflow_names=["mail"], additional_metadata={"tenant": "acme"})
    assert (await app.runs.aio_bulk_cancel(filters=wanted, reason="they left")).counts["cancelled"] == 150
    queued = await app.runs.aio_list(workflow_names=["mail"], statuses=[RunStatus.QUEUED], limit=1000)
    assert {run.additional_metadata["tenant"] for run in queued} == {"globex"}
    with pytest.raises(InvalidInput, match="expected a condition"):
        await app.runs.aio_bulk_cancel(filters=RunFilter())
    assert (await app.runs.aio_bulk_cancel(filters=RunFilter(all=True))).counts["cancelled"] >= 150
