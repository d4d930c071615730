"""How fast tasks are accepted: one acknowledged submit after another, and inside one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.row import Figure, Row, Values

if TYPE_CHECKING:
    from bench.sizes import Sizes
    from bench.system import Running


def _sync(running: Running, sizes: Sizes) -> Values:
    answer = running.ask("submit", count=sizes.submits, patience_seconds=sizes.patience_seconds)
    return {"submit.per_s": sizes.submits / answer["seconds"]}


def _batch(running: Running, sizes: Sizes) -> Values:
    count = sizes.fast_tasks // 2
    answer = running.ask("submit_batch", count=count, patience_seconds=sizes.patience_seconds)
    return {"submit_batch.per_s": count / answer["seconds"]}


PLACE = 2
ROWS = (
    Row("submit", (Figure("submit.per_s", "acknowledged submits/s, one by one", "more"),), _sync),
    Row(
        "batch",
        (Figure("submit_batch.per_s", "submits/s in `with app.batch():`", "more"),),
        _batch,
        ability="batch",
    ),
)
