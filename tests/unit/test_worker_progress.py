"""Progress on its way from a task to the stream."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.attempts import Attempts
from tests.support.fake_dispatcher import fake_dispatcher
from tests.support.scripted_dispatcher import assignment
from tests.support.worker_thread import running_worker
from windlass import Context, Progress, Windlass
from windlass.progress import progress_message
from windlass.v1 import run_pb2
from windlass.worker.newest import Newest
from windlass.worker.outcome import ToldProgress


@pytest.mark.parametrize("how", ["async", "sync"])
async def test_what_a_task_tells_is_its_attempts(how: str) -> None:
    """On the loop and on threads; `mock_run` drops it."""
    app = Windlass()

    def tell(ctx: Context) -> None:
        ctx.progress(1, 4, "first")
        ctx.progress(2.5)

    async def aio_tell(ctx: Context) -> None:
        await ctx.aio_progress(1, 4, "first")
        await ctx.aio_progress(2.5)

    task = app.task(name="tell")(aio_tell) if how == "async" else app.task(name="tell")(tell)
    attempts = Attempts(app)
    work = attempts.start("tell")
    await attempts.outcome(work)
    assert [Progress.from_proto(entry.progress) for entry in attempts.told] == [
        Progress(1, 4, "first"),
        Progress(2.5, None, ""),
    ]
    assert {(entry.lease_id, entry.run_id) for entry in attempts.told} == {(work.lease_id, work.run_id)}
    await task.aio_mock_run()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((-1, None), r"done=-1: a number of at least 0 was expected"),
        ((float("nan"), None), r"done=nan"),
        (("1", None), r"done='1'"),
        ((None, None), r"done=None"),
        ((1, 0), r"total=0: a number of more than 0 was expected"),
        ((1, float("inf")), r"total=inf"),
    ],
)
def test_what_is_no_progress_is_refused(told: tuple[Any, Any], expected: str) -> None:
    """At the call, naming the argument."""
    with pytest.raises((ValueError, TypeError), match=expected):
        progress_message(*told, "")


def test_messages_are_text_of_a_bounded_length() -> None:
    """Also what UTF-8 has no form for."""
    assert progress_message(0, None, "x" * 2_000).message == "x" * 1_000
    assert progress_message(0, None, "\udcff").message == "\\udcff"
    assert progress_message(0, None, 7).message == "7"


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 4, 0.0), (3, 4, 0.75), (9, 4, 1.0), (3, None, None)])
def test_a_fraction_is_between_none_and_all(done: float, total: float | None, fraction: float | None) -> None:
    """Whatever the task says."""
    assert Progress(done, total, "").fraction == fraction


def test_only_the_first_word_wakes_the_taker() -> None:
    """What is said before it has come replaces it; many threads lose nothing."""
    newest = Newest()
    is_first: list[bool] = []

    def tell(lease: str) -> None:
        words = (ToldProgress(lease, "run", run_pb2.Progress(done=done)) for done in range(1000))
        is_first.extend(map(newest.put, words))

    threads = [threading.Thread(target=tell, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_first.count(True) == 1
    assert {entry.lease_id: entry.progress.done for entry in newest.take()} == dict.fromkeys("0123", 999)
    assert newest.take() == []
    assert newest.put(ToldProgress("0", "run", run_pb2.Progress()))


def test_a_flood_of_progress_is_a_few_messages() -> None:
    """The first word, what was said last, and not much between; the last one goes before the outcome."""
    with fake_dispatcher() as dispatcher:
        app = Windlass(config=dispatcher.config())

        @app.task
        def flood(ctx: Context) -> None:
            for done in range(5_000):
                ctx.progress(done, 5_000)

        with running_worker(app):
            dispatcher.assign(work := assignment("flood"))
            dispatcher.wait_until(lambda: work.run_id in dispatcher.completed)
    (link,) = dispatcher.links
    kinds = [request.WhichOneof("message") for request in link.requests]
    told = [request.progresses.progresses for request in link.requests if request.HasField("progresses")]
    assert told[-1][0].progress.done == 4_999
    assert len(told) < 500
    outcome = next(n for n, request in enumerate(link.requests) if request.report.completed)
    assert outcome > max(n for n, kind in enumerate(kinds) if kind == "progresses")
