"""Owns the way of submissions into the store, whichever door they came through.

Checked one by one, stored in batches over all callers.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import (
    AlreadyExists,
    EngineError,
    InvalidField,
    RunIdTaken,
    StoreFull,
    StoreUnavailable,
    UnknownWorkflow,
)
from windlass_core.domain.limits import check_count
from windlass_core.domain.names import flow_task
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import NO_HOME, Home
from windlass_core.metrics import Metrics
from windlass_core.named_limits import NamedLimits
from windlass_core.pump import Backoff, Hold, Pump
from windlass_core.randomness import mint_ids
from windlass_core.rpc.status import to_detail
from windlass_core.store.runs import EAGER_RUNS, KeyHolder, Submission, Verdict
from windlass_core.store.shard import Shard
from windlass_core.submission import check_submission

# How long a submit waits for a store that is away before its caller is told.
_PATIENCE_S = 5.0
_UNDER_WAY = (Phase.LEASED, Phase.RUNNING)

Outcome = run_service_pb2.SubmitOutcome


@dataclass(slots=True)
class _Ticket:
    """What came in one message: the runs to store, and where their outcomes go."""

    namespace: str
    runs: list[Submission]
    places: list[int]
    outcomes: list[Outcome]
    bytes: int
    # On the loop's clock: when its caller is told that the store is away.
    give_up: float
    done: "asyncio.Future[None]"
    # By parent task run, of those that were looked up.
    homes: dict[str, Home] = field(default_factory=dict)


class Submits:
    """Stores what the doors take in."""

    def __init__(
        self,
        shard: Shard,
        inc: str,
        definitions: DefinitionCache,
        hold: Hold,
        metrics: Metrics | None = None,
    ) -> None:
        self._hold = hold
        self._metrics = metrics or Metrics()
        self._shard = shard
        self._inc = inc
        self._definitions = definitions
        self._limits = NamedLimits(shard.rate_limits)
        self._pump: Pump[_Ticket] = Pump(
            "submit", self._flush, count=lambda t: len(t.runs), size=lambda t: t.bytes, hold=hold
        )

    async def run(self) -> None:
        """Stores for ever."""
        await self._pump.run()

    async def room(self) -> None:
        """Returns once there is room for more: whoever reads submits from a peer waits here before the next."""
        await self._hold.room()

    async def drained(self) -> None:
        """Returns once all that was taken in has been stored or refused."""
        await self._pump.drained()

    async def submit(
        self,
        namespace: str,
        submissions: Sequence[run_service_pb2.RunSubmission],
        *,
        watch: Callable[[str], None] | None = None,
    ) -> list[Outcome]:
        """Stores each, or says why not.

        With `watch` this process's outbox is told of the ends; it is called with the id of each run
        before that is stored: an end may be told before this has returned. Of a run that was not
        stored, as another one has its idempotency key, no end is told.

        Raises InvalidField for an empty or too long list, StoreUnavailable.
        """
        check_count(submissions, "runs")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        ticket = _Ticket(namespace, [], [], [], 0, loop.time() + _PATIENCE_S, done)
        for place, submission in enumerate(submissions):
            outcome = await self._check(ticket, submission, place, wait=watch is not None)
            ticket.outcomes.append(outcome)
            if watch is not None and not outcome.HasField("error"):
                watch(outcome.run_id)
        if ticket.runs:
            self._pump.put(ticket)
            await ticket.done
            self._count(submissions, ticket.outcomes)
        return ticket.outcomes

    def _count(self, submissions: Sequence[run_service_pb2.RunSubmission], outcomes: list[Outcome]) -> None:
        accepted = Counter(
            submission.spec.workflow_name
            for submission, outcome in zip(submissions, outcomes, strict=True)
            if not outcome.duplicate and not outcome.HasField("error")
        )
        for workflow, count in accepted.items():
            self._metrics.submitted(workflow, count)

    async def _check(
        self, ticket: _Ticket, submission: run_service_pb2.RunSubmission, place: int, *, wait: bool
    ) -> Outcome:
        path = f"runs[{place}]"
        name = submission.spec.workflow_name
        try:
            definition = self._definitions.at_hand(ticket.namespace, name)
            if definition is None:
                definition = await self._definitions.current(ticket.namespace, name)
            if definition is None:
                field = f"{path}.spec.workflow_name"
                raise UnknownWorkflow(
                    f"{field}: nobody has registered {name[:200]!r}; start a worker that has it, or register it",
                    field,
                )
            is_sticky = submission.spec.placement.sticky
            home = await self._home_of(ticket, submission.spec.parent_task_run_id) if is_sticky else NO_HOME
            check = partial(
                check_submission, submission, definition, namespace=ticket.namespace, wait=wait, path=path, home=home
            )
            run = (
                check()
                if not definition.named_limits
                else await self._limits.check_with(ticket.namespace, definition, check)
            )
        except (InvalidField, StoreUnavailable) as error:
            return Outcome(run_id=submission.run_id, error=to_detail(error))
        ticket.runs.append(run)
        ticket.places.append(place)
        ticket.bytes += len(run[1])
        return Outcome(run_id=run[0])

    async def _home_of(self, ticket: _Ticket, parent: str) -> Home:
        """Where a parent task run is under way, and how its definition binds children to it."""
        if parent not in ticket.homes:
            ticket.homes[parent] = NO_HOME
            (run,) = await self._shard.runs.standing(ticket.namespace, [parent])
            if run is not None and run.phase in _UNDER_WAY:
                definition = await self._definitions.version(ticket.namespace, flow_task(run.flow), run.version)
                sticky = definition.sticky if definition else NO_HOME.sticky
                ticket.homes[parent] = Home(run.worker_id, sticky)
        return ticket.homes[parent]

    async def _flush(self, tickets: list[_Ticket]) -> None:
        namespaces = {ticket.namespace for ticket in tickets}
        for namespace in namespaces:
            mine = [ticket for ticket in tickets if ticket.namespace == namespace]
            try:
                give_up = max(t.give_up for t in mine)
                verdicts = await self._store(namespace, [run for t in mine for run in t.runs], give_up)
            except EngineError as error:
                detail = to_detail(error)
                for ticket in mine:
                    for place in ticket.places:
                        ticket.outcomes[place].error.CopyFrom(detail)
            else:
                _fill_in(mine, verdicts)
            for ticket in mine:
                if not ticket.done.done():
                    ticket.done.set_result(None)

    async def _store(self, namespace: str, runs: list[Submission], give_up: float) -> dict[int, Verdict]:
        """Tries until then, at least once: the run ids make repeating safe."""
        leases = mint_ids(len(runs)) if len(runs) <= EAGER_RUNS else []
        backoff = Backoff()
        while True:
            try:
                epoch, verdicts = await self._shard.runs.submit(namespace, self._inc, leases, runs)
            except StoreFull:
                raise
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > give_up:
                    raise
                await backoff.wait()
            else:
                self._definitions.note_epoch(epoch)
                return verdicts


def _fill_in(tickets: list[_Ticket], verdicts: dict[int, Verdict]) -> None:
    """Puts the verdicts, by place among all runs of the tickets, into the outcomes."""
    if not verdicts:
        return
    at = 0
    for ticket in tickets:
        for run, place in zip(ticket.runs, ticket.places, strict=True):
            outcome = ticket.outcomes[place]
            match verdicts.get(at):
                case "duplicate":
                    outcome.duplicate = True
                case "taken":
                    field = f"runs[{place}].run_id"
                    taken = RunIdTaken(f"{field}: {outcome.run_id} belongs to a run with another content", field)
                    outcome.error.CopyFrom(to_detail(taken))
                case "no_worker":
                    outcome.error.CopyFrom(to_detail(_no_worker(f"runs[{place}].spec.placement")))
                case KeyHolder(holder, refused=False):
                    outcome.run_id, outcome.duplicate = holder, True
                case KeyHolder(holder):
                    outcome.error.CopyFrom(to_detail(_key_taken(run, holder, f"runs[{place}].spec.idempotency.key")))
                case None:
                    pass
            at += 1


def _no_worker(field: str) -> InvalidField:
    return InvalidField(
        f"{field}: expected a worker that is connected, there is none of the id that is asked for", field
    )


def _key_taken(run: Submission, holder: str, field: str) -> AlreadyExists:
    asked = run_pb2.RunSpec.FromString(run.spec).idempotency
    what = "" if asked.on_conflict == workflow_pb2.IDEMPOTENCY_CONFLICT_REJECT else " with another content"
    return AlreadyExists(f"{field}: {asked.key!r} is the key of run {holder}{what}", field)
