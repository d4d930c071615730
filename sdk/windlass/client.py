"""Owns `Windlass`: the tasks of one application and its way to the engine."""

from __future__ import annotations

import importlib
import logging
import threading
from functools import cached_property
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, Unpack, overload

from pydantic_core import from_json

from windlass.batch import Batch
from windlass.batch_decorator import BatchTaskDecorator
from windlass.calling import Caller, RunOptions, read_options
from windlass.config import ClientConfig
from windlass.crons import CronsClient
from windlass.dead_letter import DeadLetterClient
from windlass.decorator import TaskDecorator
from windlass.exceptions import DuplicateTask, InvalidInput
from windlass.logs import LogsClient
from windlass.middleware import Middleware, check_middleware
from windlass.payload import write_any
from windlass.queues import QueuesClient
from windlass.rate_limits import RateLimitsClient
from windlass.runnable import Runnable
from windlass.runs import RunsClient
from windlass.scheduled import ScheduledClient
from windlass.tokens import TokensClient
from windlass.workers import WorkersClient
from windlass.workflow import WorkflowMaker
from windlass.workflows import WorkflowsClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from types import TracebackType

    from windlass.instrumentation import Instrumentation
    from windlass.placement import LabelValue
    from windlass.refs import WorkflowRunRef
    from windlass.transport.session import ClientSession
    from windlass.v1 import workflow_pb2
    from windlass.worker import Worker

MiddlewareT = TypeVar("MiddlewareT", bound=Middleware)

_CLOSE_SECONDS: Final = 10.0


class Windlass:
    """One application: define tasks on it, call them, start workers from it.

    Connects at the first call. Share one per process; its methods are safe in any thread and, where
    they are `aio_`, on any loop.
    """

    def __init__(
        self, *, config: ClientConfig | None = None, lifespan: Callable[[], AsyncIterator[Any]] | None = None
    ) -> None:
        """Read the WINDLASS_* settings unless `config` is given.

        Args:
            config: settings, in place of the environment's.
            lifespan: of each of its workers that is given no other; see `worker`.

        Raises:
            InvalidConfig: a setting is wrong; names it.

        """
        self.config: Final = config or ClientConfig()
        self.lifespan: Final = lifespan
        #: In tests: what stands in for a dependency, `app.dependency_overrides[get_db] = fake_db`.
        self.dependency_overrides: Final[dict[Callable[..., Any], Callable[..., Any]]] = {}
        self._middleware: list[Middleware] = []
        self._made_session: ClientSession | None = None
        self._making = threading.Lock()
        self._runnables: dict[str, Runnable[Any]] = {}
        self._instrumentation: Instrumentation | None = None
        self.task: Final = TaskDecorator(self)
        self.batch_task: Final = BatchTaskDecorator(self)
        self.workflow: Final = WorkflowMaker(self)
        logging.getLogger("windlass").setLevel(self.config.log_level)

    def instrumented_by(self, instrumentation: Instrumentation) -> None:
        """Have callers and runners made by another from now on; see `windlass.otel.instrument`."""
        self._instrumentation = instrumentation

    @property
    def instrumentation(self) -> Instrumentation | None:
        """Who makes callers and runners; None: nobody looks."""
        return self._instrumentation

    def middleware(self, function: MiddlewareT) -> MiddlewareT:
        """Have `async def mw(ctx, call_next)` run round every attempt of workers that start from now on.

        `await call_next()` executes the task, once, and gives its output; what the middleware returns is the
        output of the attempt, and what it raises its failure. The first registered is outermost. On the
        worker's loop, round sync tasks too. Not round `mock_run`.

        Raises:
            InvalidTask: it is not async, or takes something else.

        """
        check_middleware(function)
        self._middleware.append(function)
        return function

    @property
    def middlewares(self) -> tuple[Middleware, ...]:
        """What has been registered, the outermost first."""
        return tuple(self._middleware)

    @cached_property
    def runs(self) -> RunsClient:
        """Runs by id or filter."""
        return RunsClient(self._session)

    @cached_property
    def dead_letter(self) -> DeadLetterClient:
        """Runs that ended FAILED."""
        return DeadLetterClient(self._session)

    @cached_property
    def logs(self) -> LogsClient:
        """What runs' tasks have logged."""
        return LogsClient(self._session)

    @cached_property
    def workflows(self) -> WorkflowsClient:
        """What is registered."""
        return WorkflowsClient(self._session)

    @cached_property
    def queues(self) -> QueuesClient:
        """What waits where."""
        return QueuesClient(self._session)

    @cached_property
    def rate_limits(self) -> RateLimitsClient:
        """Limits on starts per time, by name."""
        return RateLimitsClient(self._session)

    @cached_property
    def workers(self) -> WorkersClient:
        """Who is connected."""
        return WorkersClient(self._session)

    @cached_property
    def cron(self) -> CronsClient:
        """What runs again and again."""
        return CronsClient(self._session, self._written)

    @cached_property
    def scheduled(self) -> ScheduledClient:
        """Runs that are still to come."""
        return ScheduledClient(self, self._session)

    @cached_property
    def tokens(self) -> TokensClient:
        """Tokens of one's own namespace."""
        return TokensClient(self._session)

    @cached_property
    def tasks(self) -> Mapping[str, Runnable[Any]]:
        """The tasks and workflows that can be run by themselves, by name; a live view."""
        return MappingProxyType(self._runnables)

    def include(self, *modules: ModuleType | str) -> None:
        """Add the tasks and workflows of modules, imported first where only named.

        Raises:
            DuplicateTask: two of them have one name.

        """
        for each in modules:
            module = importlib.import_module(each) if isinstance(each, str) else each
            for value in list(vars(module).values()):
                if isinstance(value, Runnable):
                    self._register(value)

    def worker(
        self,
        name: str,
        *,
        slots: int = 100,
        pools: Mapping[str, int] | None = None,
        labels: Mapping[str, LabelValue] | None = None,
        workflows: Iterable[Runnable[Any]] | None = None,
        queues: Iterable[str] | None = None,
        lifespan: Callable[[], AsyncIterator[Any]] | None = None,
        capture_logs: bool = True,
        processes: int | None = None,
        max_tasks_per_child: int | None = None,
        max_memory_per_child: int | str | None = None,
    ) -> Worker:
        """Make a worker; `start()` runs it.

        Args:
            name: for people.
            slots: so many attempts at a time, of tasks that cost one slot each.
            pools: slots by pool, beside `slots`, for tasks with that `slot_pool`.
            labels: what placement can ask for.
            workflows: the tasks and workflows that it serves; left out, all that the application knows.
            queues: the queues that it serves; left out, all.
            lifespan: an async generator function, run once: to its `yield` before the first task, beyond
                it after the last one. `ctx.lifespan` is what it yields. Left out, the application's.
            capture_logs: what tasks log with the standard library is kept with their runs, as `ctx.log` lines
                are; loggers' own levels decide what that is.

        """
        from windlass.worker import Worker

        return Worker(
            self,
            name,
            slots=slots,
            pools=pools,
            labels=labels,
            workflows=workflows,
            queues=queues,
            lifespan=lifespan,
            capture_logs=capture_logs,
            processes=processes,
            max_tasks_per_child=max_tasks_per_child,
            max_memory_per_child=max_memory_per_child,
        )

    @overload
    def enqueue(
        self, name: str, input: Any = ..., *, wait_for_result: Literal[False] = False, **options: Unpack[RunOptions]
    ) -> WorkflowRunRef[Any]: ...
    @overload
    def enqueue(
        self, name: str, input: Any = ..., *, wait_for_result: Literal[True], **options: Unpack[RunOptions]
    ) -> Any: ...
    def enqueue(
        self,
        name: str,
        input: Any = None,
        *,
        wait_for_result: bool = False,
        **options: Unpack[RunOptions],
    ) -> Any:
        """Submit by name alone, for a task that this process need not have imported.

        Args:
            name: the task's name.
            input: a dict is the input, a list its positional arguments; nothing is {}.
            wait_for_result: True waits for the end, and gives the output as plain JSON values.
            options: see `RunOptions`.

        Raises:
            UnknownTask: nobody has registered a task of that name.
            InvalidInput: this process has the task, and the input does not fit.

        """
        caller, payload = self._by_name(name, input, options)
        if wait_for_result:
            return caller.run(payload)
        return self.runs.ref(caller.submit(payload))

    @overload
    async def aio_enqueue(
        self, name: str, input: Any = ..., *, wait_for_result: Literal[False] = False, **options: Unpack[RunOptions]
    ) -> WorkflowRunRef[Any]: ...
    @overload
    async def aio_enqueue(
        self, name: str, input: Any = ..., *, wait_for_result: Literal[True], **options: Unpack[RunOptions]
    ) -> Any: ...
    async def aio_enqueue(
        self,
        name: str,
        input: Any = None,
        *,
        wait_for_result: bool = False,
        **options: Unpack[RunOptions],
    ) -> Any:
        """Do as `enqueue`, on the loop."""
        caller, payload = self._by_name(name, input, options)
        if wait_for_result:
            return await caller.aio_run(payload)
        return self.runs.ref(await caller.aio_submit(payload))

    def batch(self) -> Batch:
        """Collect what is delayed inside: `with app.batch(): task.delay(...)`.

        References are there at once; at the end of the block the engine has all of it, or
        BatchRefused says what it refused.
        """
        return Batch(self._session)

    def close(self) -> None:
        """Wait until what was submitted is acknowledged, at most 10 s, and disconnect."""
        self._session.close(_CLOSE_SECONDS)

    async def aio_close(self) -> None:
        """Do as `close`, on the loop."""
        await self._session.aio_close(_CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aio_close()

    @property
    def _session(self) -> ClientSession:
        """The way to the api, made at its first use: a module that only defines tasks never loads gRPC."""
        session = self._made_session
        if session is None:
            from windlass.transport.session import ClientSession

            with self._making:
                session = self._made_session
                if session is None:
                    session = self._made_session = ClientSession(self.config)
        return session

    def _register(self, runnable: Runnable[Any]) -> None:
        name = runnable.name
        known = self._runnables.get(name)
        if known is not None and known.place != runnable.place:
            raise DuplicateTask(
                f"two tasks or workflows are named {name!r}: {known.place} and {runnable.place}. Give one of them "
                "another name="
            )
        self._runnables[name] = runnable

    def _caller(
        self, name: str, definition: workflow_pb2.WorkflowDefinition | None, decode: Callable[[bytes], Any]
    ) -> Caller:
        make = Caller if self._instrumentation is None else self._instrumentation.caller
        return make(self._session, name, definition, decode)

    def _by_name(self, name: str, value: Any, options: RunOptions) -> tuple[Caller, bytes]:
        definition, payload = self._written(name, value)
        return self._caller(name, definition, from_json).with_request(read_options(**options)), payload

    def _written(self, name: str, value: Any) -> tuple[workflow_pb2.WorkflowDefinition | None, bytes]:
        """Write an input by what this process knows of the task, whose definition it gives where it has one."""
        runnable = self._runnables.get(name)
        given = {} if value is None else value
        if runnable is not None:
            return runnable.definition(), runnable.write_input(given)
        payload = write_any(given, f"input of {name!r}")
        if payload[:1] not in b"[{":
            raise InvalidInput(f"input of {name!r}: a dict, or a list of positional arguments, was expected")
        return None, payload
