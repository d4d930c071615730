"""A runner with nothing around it: attempts go in, outcomes come out."""

from __future__ import annotations

import asyncio
import queue
from typing import TYPE_CHECKING, Any

from tests.support.scripted_dispatcher import assignment
from windlass.worker.outcome import Completion, FailedAttempt
from windlass.worker.processes.crew import Crew
from windlass.worker.runner import Runner
from windlass.worker.surroundings import Surroundings
from windlass.worker_labels import WorkerLabels

if TYPE_CHECKING:
    from windlass import Windlass
    from windlass.v1 import dispatch_pb2, run_pb2
    from windlass.worker.outcome import LoggedLine, Outcome, PutChunk, ToldProgress


class Attempts:
    """Runs an app's tasks on the running loop; is itself where they report to."""

    def __init__(
        self, app: Windlass, slots: int = 4, *, worker_id: str = "worker-id", capture_logs: bool = False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        surroundings = Surroundings(
            middleware=app.middlewares, overrides=app.dependency_overrides, capture_logs=capture_logs
        )
        self._crew = Crew(app, app.tasks, None, capture_logs)
        self._tasks = self._crew.tasks
        self._runner = Runner(
            self._tasks, slots, worker_id, WorkerLabels({"zone": "a"}), self._loop, self, surroundings
        )
        self.batches: list[list[Outcome]] = []
        self.outcomes: dict[str, Outcome] = {}
        self.lines: list[LoggedLine] = []
        self.chunks: queue.SimpleQueue[PutChunk] = queue.SimpleQueue()
        self.told: list[ToldProgress] = []
        self.cancelled: list[str] = []
        self.more_time: list[tuple[str, int]] = []
        self.slotless: list[str] = []
        self.labels: list[dict[str, str]] = []

    @property
    def runner(self) -> Runner:
        """Runs what the app has by now."""
        self._tasks.update(self._crew.tasks)
        return self._runner

    def start(self, task: str, input_json: bytes = b"{}", **fields: Any) -> dispatch_pb2.Assignment:
        """Start one attempt."""
        work = assignment(task, input_json, **fields)
        self.runner.start([work])
        return work

    async def run(self, task: str, input_json: bytes = b"{}", **fields: Any) -> Outcome:
        """Start one attempt and wait for its outcome."""
        return await self.outcome(self.start(task, input_json, **fields))

    async def fail(self, task: str, input_json: bytes = b"{}", **fields: Any) -> run_pb2.Failure:
        """Start one attempt that has to fail."""
        outcome = await self.run(task, input_json, **fields)
        assert isinstance(outcome, FailedAttempt)
        assert not outcome.released
        return outcome.failure

    async def complete(self, task: str, input_json: bytes = b"{}", **fields: Any) -> bytes:
        """Start one attempt that has to complete."""
        outcome = await self.run(task, input_json, **fields)
        assert isinstance(outcome, Completion)
        return outcome.output_json

    async def outcome(self, work: dispatch_pb2.Assignment) -> Outcome:
        """Wait for the outcome of an attempt."""
        async with asyncio.timeout(10):
            while work.lease_id not in self.outcomes:
                self._arrived.clear()
                await self._arrived.wait()
        return self.outcomes[work.lease_id]

    def finished(self, outcomes: list[Outcome]) -> None:
        """Take outcomes, from any thread."""
        self._loop.call_soon_threadsafe(self._take, outcomes)

    def log(self, entry: LoggedLine) -> None:
        """Take a line, from any thread."""
        self.lines.append(entry)

    def chunk(self, entry: PutChunk) -> None:
        """Take a chunk, from any thread."""
        self.chunks.put_nowait(entry)

    def progress(self, entry: ToldProgress) -> None:
        """Take progress, from any thread."""
        self.told.append(entry)

    def refreshed(self, lease_id: str, run_id: str, timeout_ms: int) -> None:
        """Note who asks for more time."""
        self.more_time.append((lease_id, timeout_ms))

    def slot_released(self, lease_id: str, run_id: str) -> None:
        """Note who goes on without slots."""
        self.slotless.append(lease_id)

    def labels_changed(self, changes: dict[str, str]) -> None:
        """Note the worker's other labels."""
        self.labels.append(changes)

    def cancel_run(self, lease_id: str, run_id: str) -> None:
        """Note who cancels itself."""
        self.cancelled.append(run_id)

    def _take(self, outcomes: list[Outcome]) -> None:
        self.batches.append(outcomes)
        for outcome in outcomes:
            assert outcome.lease_id not in self.outcomes, "reported twice"
            self.outcomes[outcome.lease_id] = outcome
        self._arrived.set()
