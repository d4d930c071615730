"""Owns a failure test's field: a cluster, worker processes, a caller, and the history of it all.

What goes wrong in between is the test's to decide; what must hold in the end is `history.py`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, Self

from tests.support.doctoring import FENCES, doctored
from tests.support.history import History
from tests.support.history_reading import busy_keys, nonce_of, read_indexes, read_runs
from tests.support.journal import Journal
from tests.support.journalled_app import MAX_ATTEMPTS, PERMITS_PER_KEY, Done, Gate, JournalledApp, Work
from tests.support.leaks import leaks_after_retention
from tests.support.loop_thread import LoopThread
from tests.support.store_keys import StoreKeys
from tests.support.until import until
from tests.support.worker_process import WorkerProcess
from windlass import ClientConfig, RunFilter
from windlass.exceptions import ResultTimeout, TaskRunError, UnknownRun
from windlass_core.local import LocalCluster, Process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType

    from windlass.calling import BulkRunItem
    from windlass_core.domain.phase import Phase

#: Sessions that end soon: what is lost with a worker is found after three seconds.
SHORT_SESSIONS = {"WINDLASS_SESSION_TTL": "3", "WINDLASS_HEARTBEAT_INTERVAL": "1"}
RUNS = 2_000
FEW_RUNS = 200
_RUNS_PER_CALL = 10
_CALLS_AT_ONCE = 40


class Ordeal:
    """One test's engine and all that is seen of it."""

    def __init__(
        self,
        folder: Path,
        *,
        dispatchers: int = 1,
        schedulers: int = 1,
        settings: Mapping[str, str] | None = None,
        without: str | None = None,
        loses_data: bool = False,
    ) -> None:
        """Prepare a cluster; `without` names the fence to take out of it.

        Without a fence, or where data is to be lost, there are fewer runs, and less patience: what is
        lost does not come.
        """
        hopeless = without is not None or loses_data
        #: How many runs are to be under way.
        self.runs = FEW_RUNS if hopeless else RUNS
        #: How many seconds a caller waits for ten runs.
        self.patience = 5.0 if hopeless else 60.0
        self._quiet_seconds = 0.5 if hopeless else 10.0
        self.cluster = LocalCluster(
            dispatchers=dispatchers,
            schedulers=schedulers,
            settings={**(settings or {}), **(doctored(FENCES[without]) if without else {})},
        )
        self.journal = Journal(folder / "journal")
        self._folder = folder
        self._workers: list[WorkerProcess] = []
        self._lost: set[str] = set()
        self._gates: list[Gate] = []
        self._submitted: set[str] = set()
        self._acknowledged: set[str] = set()
        self._told: dict[str, str] = {}
        self._of_task: defaultdict[str, set[str]] = defaultdict(set)
        self._calls: list[Future[None]] = []
        #: One for each way to the api.
        self._callers: dict[str, JournalledApp] = {}
        self._loop = LoopThread()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self.journal.close)
        self._stack.enter_context(self.cluster)
        self._stack.callback(self._close_callers)
        self._stack.enter_context(self._loop)
        self._stack.callback(self._end_workers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    # --- Who takes part --------------------------------------------------------------------------

    def worker(self, name: str, *, ready: bool = True, **options: Any) -> WorkerProcess:
        """Start a worker process; return when it gets work. Its gate is closed."""
        options.setdefault("api_address", self.cluster.api_address)
        worker = WorkerProcess(name, self._folder, journal=self.journal.path, **options)
        self._workers.append(worker)
        self._gates.append(Gate(worker.gate))
        if ready:
            worker.wait_ready()
        return worker

    def workers(self, *names: str, **options: Any) -> list[WorkerProcess]:
        """Start several at the same time."""
        workers = [self.worker(name, ready=False, **options) for name in names]
        for worker in workers:
            worker.wait_ready()
        return workers

    def open_gate(self, worker: WorkerProcess) -> None:
        """Let go what the worker's `held` tasks hold."""
        self._gates[self._workers.index(worker)].open()

    def lost(self, worker: WorkerProcess) -> None:
        """Note that the worker is to be lost: what it executes may be executed again."""
        self._lost.add(worker.id)

    def count(self, phase: Phase) -> int:
        """How many runs are in a phase now."""
        with StoreKeys(self.cluster.store_url) as store:
            return sum(run.phase is phase for run in read_runs(store).values())

    @property
    def dispatcher_address(self) -> str:
        """Where the first dispatcher listens."""
        return f"127.0.0.1:{self.cluster.processes('dispatcher')[0].ports['grpc']}"

    def dispatcher_of(self, worker: WorkerProcess) -> Process:
        """The dispatcher that a worker is connected to."""
        return self._process("dispatcher", f"w:{worker.id}", "disp")

    def owning_scheduler(self) -> Process:
        """The scheduler that owns the shard."""
        return self._process("scheduler", "own", "scheduler")

    def _process(self, service: Literal["dispatcher", "scheduler"], key: str, field: str) -> Process:
        """The process of the incarnation that a key names; each says its own when it starts."""
        with StoreKeys(self.cluster.store_url) as store:
            incarnation = store.field(key, field)
        return next(each for each in self.cluster.processes(service) if incarnation in each.last_output())

    # --- What is asked for -----------------------------------------------------------------------

    def call(
        self, count: int = 0, *, task: str = "work", milliseconds: int = 40, api_address: str = "", keys: int = 0
    ) -> Future[None]:
        """Submit runs and wait for their results, in a thread: 400 at a time, ten to a call.

        Of a hundred, four fail at first and one always. Those of `keyed` have so many keys.
        """
        address = api_address or self.cluster.api_address
        works = [
            Work(
                milliseconds=milliseconds,
                fail_first=i % 25 == 7,
                fail_always=i % 100 == 50,
                key=f"key-{i % keys}" if keys else "",
            )
            for i in range(count or self.runs)
        ]
        future = self._loop.run(self._call(address, task, works))
        self._calls.append(future)
        return future

    def until_answered(self) -> None:
        """Wait until all calls have been answered."""
        for call in self._calls:
            call.result()

    def replay(self) -> int:
        """Replay every run; returns how many."""
        runs = self._callers[self.cluster.api_address].app.runs
        return runs.bulk_replay(filters=RunFilter(all=True)).counts["replayed"]

    def until_ended(self) -> None:
        """Wait for the end of every run, and of every hook."""
        with StoreKeys(self.cluster.store_url) as store:
            until(lambda: not busy_keys(store), "all runs end")

    def stored(self) -> int:
        """Runs that the store has."""
        with StoreKeys(self.cluster.store_url) as store:
            return len(read_runs(store))

    def begun_by(self, worker: WorkerProcess, task: str) -> int:
        """Runs of a task that have begun at a worker."""
        runs = self._of_task[task]
        return len({e.run_id for e in self.journal.executions() if e.worker_id == worker.id and e.run_id in runs})

    def answered(self, task: str) -> int:
        """Runs of a task whose caller has been told their end."""
        return len(self._of_task[task] & set(self._told))

    def until_begun(self, count: int) -> None:
        """Wait for so many executions: the work is under way."""
        until(lambda: self.journal.begun() >= count, f"{count} executions begin")

    async def _call(self, address: str, name: str, works: list[Work]) -> None:
        if address not in self._callers:
            config = ClientConfig(api_address=address, dispatcher_address="", token=None)
            self._callers[address] = JournalledApp(config)
        task = getattr(self._callers[address], name)
        room = asyncio.Semaphore(_CALLS_AT_ONCE)

        async def one(items: list[BulkRunItem]) -> None:
            run_ids = [item.submission.run_id for item in items]
            async with room:
                self._submitted.update(run_ids)
                self._of_task[name].update(run_ids)
                try:
                    answers = await task.aio_run_many(items, return_exceptions=True, timeout=self.patience)
                except ResultTimeout as error:
                    answers = [error] * len(items)
            for run_id, answer in zip(run_ids, answers, strict=True):
                self._hear(run_id, answer)

        items = [task.create_bulk_run_item(work) for work in works]
        first = range(0, len(items), _RUNS_PER_CALL)
        await asyncio.gather(*(one(items[i : i + _RUNS_PER_CALL]) for i in first))

    def _hear(self, run_id: str, answer: Done | dict[str, Any] | Exception) -> None:
        match answer:
            case Done():
                self._told[run_id] = answer.nonce
            case dict():
                self._told[run_id] = nonce_of(answer)
            case TaskRunError():
                self._told[run_id] = ""
            case ResultTimeout(acknowledged=acknowledged):
                if not acknowledged:
                    return
            case UnknownRun():
                pass  # it had been acknowledged, or the caller would still be submitting it
            case _:
                raise answer
        self._acknowledged.add(run_id)

    # --- What has become of it -------------------------------------------------------------------

    def history(self, *, any_worker_may_be_lost: bool = False) -> History:
        """Wait for the answers and for quiet; then all that was seen. Ends the workers."""
        self.until_answered()
        with StoreKeys(self.cluster.store_url) as store:
            self._settle(store)
            runs, indexes = read_runs(store), read_indexes(store)
        for gate in self._gates:
            gate.open()
        for worker in self._workers:
            worker.ask_to_stop()
        for worker in self._workers:
            worker.wait()
        executions = self.journal.executions()
        if any_worker_may_be_lost:
            self._lost.update(each.worker_id for each in executions)
        return History(
            submitted=frozenset(self._submitted),
            acknowledged=frozenset(self._acknowledged),
            told=dict(self._told),
            executions=executions,
            runs=runs,
            indexes=indexes,
            lost_workers=frozenset(self._lost),
            attempts_allowed=MAX_ATTEMPTS,
            permits_per_key=PERMITS_PER_KEY,
            leaked=leaks_after_retention(self.cluster.store_url, self._quiet_seconds),
        )

    def _settle(self, store: StoreKeys) -> None:
        """Let what is told after the last result, acknowledgements and slots, come to its end."""
        deadline = time.monotonic() + self._quiet_seconds
        while busy_keys(store) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _close_callers(self) -> None:
        for caller in self._callers.values():
            caller.app.close()

    def _end_workers(self) -> None:
        for gate in self._gates:
            gate.open()
        for worker in self._workers:
            worker.kill()
