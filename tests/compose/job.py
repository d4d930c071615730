"""Owns the job that goes on while containers are killed: word counts asked for from outside, without a pause.

Every answer is compared with what the words were drawn as.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self

from examples.word_count.tasks import Page, app, count_words
from tests.support.loop_thread import LoopThread
from windlass.exceptions import ResultTimeout, WindlassError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

_WORDS: Final = ["anchor", "bollard", "capstan", "davit", "halyard", "rope", "windlass"]
_WORDS_PER_PAGE: Final = 200
_LONGEST_SECONDS: Final = 1.0
_PAGES_PER_CALL: Final = 5
_CALLS_AT_ONCE: Final = 20
#: Nothing takes so long unless it is lost.
_PATIENCE: Final = 120.0


class Job:
    """Runs from `with` to `finish`."""

    def __init__(self) -> None:
        """Prepare; the example's client goes where the environment says."""
        self.submitted: set[str] = set()
        self.acknowledged: set[str] = set()
        self.answered: set[str] = set()
        self.wrong: list[str] = []
        #: When answers came, on the monotonic clock.
        self.heard_at: list[float] = []
        self._random = random.Random(1)
        self._stopping = False
        self._loop = LoopThread()
        self._calls: Future[None] | None = None

    def __enter__(self) -> Self:
        self._loop.__enter__()
        self._calls = self._loop.run(self._go_on())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping = True
        self._loop.__exit__(kind, error, traceback)
        app.close()

    def finish(self) -> None:
        """Ask for nothing more, and wait for what has been asked for."""
        self._stopping = True
        if self._calls is not None:
            self._calls.result(2 * _PATIENCE)

    def longest_silence(self, since: float) -> float:
        """How many seconds at the most passed without an answer, since then."""
        times = [since, *(at for at in self.heard_at if at > since), time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(times))

    async def _go_on(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(_CALLS_AT_ONCE):
                group.create_task(self._call_again_and_again())

    async def _call_again_and_again(self) -> None:
        while not self._stopping:
            await self._call()

    async def _call(self) -> None:
        drawn = [Counter(self._random.choices(_WORDS, k=_WORDS_PER_PAGE)) for _ in range(_PAGES_PER_CALL)]
        items = [
            count_words.create_bulk_run_item(
                Page(text=" ".join(words.elements()), seconds=self._random.uniform(0, _LONGEST_SECONDS))
            )
            for words in drawn
        ]
        run_ids = [item.submission.run_id for item in items]
        self.submitted.update(run_ids)
        try:
            answers = await count_words.aio_run_many(items, return_exceptions=True, timeout=_PATIENCE)
        except WindlassError as error:
            self.wrong.append(f"a call failed: {error!r}")
            if not isinstance(error, ResultTimeout) or error.acknowledged:
                self.acknowledged.update(run_ids)
            return
        self.acknowledged.update(run_ids)
        self.heard_at.append(time.monotonic())
        for run_id, answer, words in zip(run_ids, answers, drawn, strict=True):
            if run_id in self.answered:
                self.wrong.append(f"{run_id} was answered twice")
            self.answered.add(run_id)
            if getattr(answer, "words", None) != words:
                self.wrong.append(f"{run_id}: {words} was expected, got {answer!r}")
