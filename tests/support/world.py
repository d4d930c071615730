"""A shard as its users drive it, in few words; what the scripts leave behind is audited every time.

Time is the store's: tests move the due times of sessions and timers, and never wait for them.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.audit import audit, check_steps
from tests.support.snapshot import Snapshot, take
from windlass_core.domain.names import flow_name, mint_run_id
from windlass_core.domain.placement import PLAIN, Demand, label_entries
from windlass_core.hooks import run_id_of
from windlass_core.judgement import Judgement
from windlass_core.randomness import mint_ids
from windlass_core.store.hooks import HookStart, OwedHook
from windlass_core.store.runs import Submission
from windlass_core.store.scripts import unpack
from windlass_core.store.workers import Enrolled, Enrolment
from windlass_dispatcher.attempt import Attempt, to_attempt
from windlass_dispatcher.enrolment import group_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from windlass_core.domain.phase import Phase
    from windlass_core.domain.retry import Budget
    from windlass_core.store.shard import Shard

NAMESPACE = "default"
_BEGIN_MS = 1_700_000_000_000
# Longer than any test on a busy machine: nothing expires that a test doesn't let expire.
_LONG_MS = 600_000


def flow_of(task: str = "t", queue: str = "default", namespace: str = NAMESPACE, demand: Demand = PLAIN) -> str:
    """The flow of a task's runs."""
    return flow_name(namespace, queue, task, demand.name())


def permit(value: str = "k", most: int = 1, strategy: str = "rr", level: str = "t", place: int = 0) -> list[Any]:
    """A gate: a permit of a key. `place` is that of its expression in the definition of the task `t`."""
    return ["c", f"{NAMESPACE}|t|{level}{place}|{value}", most, strategy, level]


def rate(name: str = "api", units: int = 1, limit: int = 0, window_ms: int = 0) -> list[Any]:
    """A gate: units of a limit that was put, or of one that brings its units and window with it."""
    return ["r", f"{NAMESPACE}|{name}", units, limit, window_ms]


def plain_hook(owed: OwedHook) -> HookStart:
    """How a hook without any demands of its own is started."""
    hook_id = run_id_of(owed.run_id, owed.replays)
    more = {"since": owed.ready_ms}
    return HookStart(owed.run_id, owed.replays, Submission(hook_id, b"hook", owed.flow, 2, "v1", more=more))


class World:
    """One shard. Runs get rising ids, so that those of one millisecond keep their order."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.sessions: dict[str, str] = {}
        # Leases whose slots were given up.
        self.slotless: set[str] = set()
        self._enrolments: dict[str, Enrolment] = {}
        self._ids = itertools.count()
        self._connections = itertools.count(1)
        self._phases: dict[str, Phase] = {}

    def audited(self, call: Callable[[str, object], Awaitable[Any]]) -> Callable[[str, object], Awaitable[Any]]:
        """The caller of scripts, with an audit after each."""

        async def call_and_audit(name: str, argument: object) -> Any:
            reply = await call(name, argument)
            after = await self.look()
            phases = after.phases()
            wrong = [*check_steps(name, self._phases, phases), *audit(after, self.slotless)]
            assert not wrong, "\n".join(wrong)
            self._phases = phases
            return reply

        return call_and_audit

    async def look(self) -> Snapshot:
        """All that is in the store."""
        return await take(self.shard)

    # --- Runs

    def mint(self, count: int = 1) -> list[str]:
        """Ids for runs."""
        return [mint_run_id(_BEGIN_MS + next(self._ids), os.urandom(10)) for _ in range(count)]

    async def submit(
        self,
        count: int = 1,
        *,
        ids: Sequence[str] | None = None,
        task: str = "t",
        queue: str = "default",
        namespace: str = NAMESPACE,
        level: int = 2,
        delay_ms: int = 0,
        expires_ms: int = 0,
        timeout_ms: int = 0,
        api: str = "",
        parent: str = "",
        spec: bytes = b"spec",
        trace: str = "",
        leases: int = 0,
        gates: Sequence[list[Any]] = (),
        demand: Demand = PLAIN,
        more: dict[str, Any] | None = None,
    ) -> list[str]:
        """Submits runs alike and gives their ids. `api` waits for them; `leases` match at once."""
        more = {**(more or {}), "g": list(gates)} if gates else more
        runs = list(ids) if ids is not None else self.mint(count)
        flow = flow_of(task, queue, namespace, demand)
        if demand != PLAIN:
            more = {**(more or {}), "p": demand.entry()}
        _epoch, verdicts = await self.shard.runs.submit(
            namespace,
            api or "a1",
            mint_ids(leases),
            [
                Submission(r, spec, flow, level, "v1", delay_ms, expires_ms, timeout_ms, bool(api), parent, trace, more)
                for r in runs
            ],
        )
        assert not verdicts
        return runs

    async def submit_apart(self, count: int) -> list[str]:
        """Submits runs that have a queue each, a thousand in a step, and gives their ids."""
        runs = self.mint(count)
        for first in range(0, count, 1000):
            batch: list[Submission] = [
                Submission(run, b"spec", flow_of(queue=f"of-{run}"), 2, "v1") for run in runs[first : first + 1000]
            ]
            await self.shard.runs.submit(NAMESPACE, "a1", [], batch)
        return runs

    async def leased(self, count: int = 1, *, worker: str = "w1", **options: Any) -> dict[str, str]:
        """Run → lease of new runs that a worker has been given; it is connected if need be."""
        if worker not in self.sessions:
            await self.connect(worker)
        runs = await self.submit(count, **options)
        await self.match()
        return await self.leases(*runs)

    async def running(self, count: int = 1, *, worker: str = "w1", **options: Any) -> dict[str, str]:
        """Run → lease of new runs that a worker has accepted."""
        leases = await self.leased(count, worker=worker, **options)
        assert await self.shard.runs.accept(list(leases.items())) == count
        return leases

    async def phase(self, run: str) -> Phase:
        """Where a run stands."""
        return (await self.look()).phases()[run]

    async def phases(self, runs: Sequence[str]) -> set[Phase]:
        """Where runs stand."""
        phases = (await self.look()).phases()
        return {phases[run] for run in runs}

    async def field(self, run: str, name: str) -> bytes | None:
        """One field of a run's hash."""
        return (await self.look()).hash(f"r:{run}").get(name)

    async def lease(self, run: str) -> str:
        """The lease of a run's last attempt."""
        return (await self.leases(run))[run]

    async def leases(self, *runs: str) -> dict[str, str]:
        """Run → lease of its last attempt."""
        s = await self.look()
        return {run: s.hash(f"r:{run}").get("L", b"").decode() for run in runs}

    async def complete(self, *runs: str, output: bytes = b"1") -> list[str]:
        """Ends runs under their leases."""
        leases = await self.leases(*runs)
        return [*await self.shard.runs.complete([(run, lease, output) for run, lease in leases.items()])]

    async def release_slots(self, *runs: str) -> int:
        """Has attempts go on without their slots."""
        leases = await self.leases(*runs)
        self.slotless.update(leases.values())
        return await self.shard.runs.release_slots(list(leases.items()))

    async def fail(
        self,
        run: str,
        verdict: Any = "retry",
        delay_ms: int = 0,
        failure: bytes = b"broke",
        budget: Budget | None = None,
    ) -> str:
        """Ends an attempt badly."""
        judgement = Judgement(verdict, delay_ms, budget)
        return (await self.shard.runs.fail([judgement.of(run, await self.lease(run), failure)]))[0]

    async def tokens(self, budget: Budget, task: str = "t") -> float:
        """How many retries are left to a task's runs."""
        s = await self.look()
        fields = s.hash(f"rb:{NAMESPACE}|{task}")
        if not fields:
            return budget.min_per_minute
        minutes = max(0.0, s.now_ms - int(fields["t"])) / 60_000
        return budget.min_per_minute + (float(fields["k"]) - budget.min_per_minute) * math.exp(-minutes)

    async def hold_tokens(self, task: str = "t") -> None:
        """Lets no time have passed for a task's retry budget."""
        key = self.shard.keys.of("budget", workflow=f"{NAMESPACE}|{task}")
        if await self.shard.redis.exists(key):
            await self.shard.redis.hset(key, "t", str((await self.look()).now_ms + 60_000))

    async def age_tokens(self, minutes: float, task: str = "t") -> None:
        """Lets time pass for a task's retry budget."""
        key = self.shard.keys.of("budget", workflow=f"{NAMESPACE}|{task}")
        await self.shard.redis.hincrby(key, "t", -int(minutes * 60_000))

    async def cancel(self, *runs: str, reason: str = "stop") -> list[str]:
        """Cancels runs."""
        return await self.shard.runs.cancel(NAMESPACE, reason, list(runs))

    async def start_hooks(self) -> dict[str, str]:
        """Starts plain hooks of all ends that are owed one. Gives each hook's run, and the run that it follows."""
        started: dict[str, str] = {}
        more = True
        while more:
            owed, more = await self.shard.hooks.owed()
            starts = [plain_hook(each) for each in owed]
            flags = await self.shard.hooks.start(starts)
            started |= {
                each.hook.run_id: each.run_id
                for each, is_new in zip(starts, flags, strict=True)
                if each.hook and is_new
            }
        return started

    # --- Workers and matching

    async def connect(
        self,
        worker: str = "w1",
        *,
        slots: int = 10,
        tasks: Sequence[str] = ("t",),
        queues: Sequence[str] = (),
        dispatcher: str = "d1",
        held: Sequence[str] = (),
        draining: bool = False,
        ttl_ms: int = _LONG_MS,
        namespace: str = NAMESPACE,
        labels: Mapping[str, str] | None = None,
        pools: Mapping[str, int] | None = None,
    ) -> Enrolled:
        """A worker's Hello, under a session of its own."""
        session = f"{worker}-session-{next(self._connections)}"
        enrolment = Enrolment(
            namespace=namespace,
            worker_id=worker,
            session_id=session,
            dispatcher=dispatcher,
            slots=slots,
            group=group_name(namespace, sorted(tasks), sorted(queues), labels or {}),
            tasks=sorted(tasks),
            queues=sorted(queues),
            info=b"info",
            held=list(held),
            draining=draining,
            ttl_ms=ttl_ms,
            labels=label_entries(labels or {}),
            pools=pools or {},
        )
        enrolled = await self.shard.workers.hello(enrolment)
        assert enrolled is not None
        self.sessions[worker] = session
        self._enrolments[worker] = enrolment
        return enrolled

    async def relabel(self, worker: str, labels: Mapping[str, str]) -> bool:
        """A worker that is connected has other labels."""
        e = self._enrolments[worker]
        self._enrolments[worker] = e = replace(
            e, group=group_name(e.namespace, list(e.tasks), list(e.queues), labels), labels=label_entries(labels)
        )
        return await self.shard.workers.relabel(e)

    async def leave(self, worker: str, how: Any = "gone") -> int:
        """A worker's stream ends, or it drains."""
        return await self.shard.workers.leave([(worker, self.sessions[worker], how)])

    async def match(self) -> int:
        """Matches until nothing is left to match, and gives how many attempts were given out."""
        given, more = 0, True
        while more:
            assigned = await self.shard.scheduling.assign(mint_ids(200), b"gone")
            given, more = given + assigned.given, assigned.more
        return given

    async def inbox(self, dispatcher: str = "d1") -> list[list[Any]]:
        """What a dispatcher was to deliver; it is taken."""
        return await self._take("inbox", dispatcher)

    async def delivered(self, dispatcher: str = "d1") -> list[tuple[str, Attempt]]:
        """(worker, attempt) of all assignments to a dispatcher, in their order; they are taken."""
        entries = [entry for entry in await self.inbox(dispatcher) if entry[0] == b"assign"]
        return [(entry[1].decode(), to_attempt(attempt)) for entry in entries for attempt in entry[3]]

    async def outbox(self, api: str = "a1") -> list[list[Any]]:
        """What an api was told; it is taken."""
        return await self._take("outbox", api)

    async def _take(self, family: str, inc: str) -> list[list[Any]]:
        key = self.shard.keys.of(family, inc=inc)
        entries: Any = await self.shard.redis.lrange(key, 0, -1)
        await self.shard.redis.delete(key)
        return [unpack(entry) for entry in entries]

    # --- Time

    async def expire_session(self, *workers: str) -> None:
        """Lets sessions have expired long ago."""
        if workers:
            await self.shard.redis.zadd(self.shard.keys.of("sessions"), dict.fromkeys(workers, 1), xx=True)

    async def lapse(self, service: str, inc: str) -> None:
        """Lets a process's presence have expired long ago."""
        await self.shard.redis.zadd(self.shard.keys.of("presence", service=service), {inc: 1}, xx=True)

    async def make_due(self, kind: str) -> None:
        """Lets all timers of a kind be due, or one, in the order that they had."""
        timers = (await self.look()).zset("T")
        members = [member for member in timers if member == kind or member.startswith(f"{kind}:")]
        scores = {member: place for place, member in enumerate(members, start=1)}
        if scores:
            await self.shard.redis.zadd(self.shard.keys.of("timers"), scores, xx=True)

    async def end_window(self, name: str = "api") -> None:
        """Lets the window of a rate limit have ended, and its timer be due."""
        key = self.shard.keys.of("rate", key=f"{NAMESPACE}|{name}")
        await self.shard.redis.hset(key, "start", "1")
        await self.shard.redis.persist(key)
        await self.make_due(f"open:r:{NAMESPACE}|{name}")

    async def end_windows(self) -> None:
        """Lets all idempotency keys that count for a time have had it."""
        for key in (s := await self.look()).keys_of("idempotency"):
            if key in s.mortal:
                await self.shard.redis.pexpire(self.shard.keys.prefix + key, 0)

    async def fire(self) -> int:
        """Does what is due, and gives how many timers that were."""
        fired, all_fired = await self.shard.scheduling.fire(), 0
        while fired.count:
            all_fired += fired.count
            fired = await self.shard.scheduling.fire()
        return all_fired

    async def reap(self) -> int:
        """Takes back what expired sessions held, and gives how many attempts that were."""
        taken_all, more = 0, True
        while more:
            taken, more = await self.shard.scheduling.reap(b"lost", b"crashed")
            taken_all += taken
        return taken_all

    async def drain_away(self) -> Snapshot:
        """Ends every run and every worker, expires the runs, and gives what is left."""
        runs = list((await self.look()).phases())
        for first in range(0, len(runs), 1000):
            await self.cancel(*runs[first : first + 1000])
        held = [run for run, phase in (await self.look()).phases().items() if not phase.terminal]
        if held:
            await self.complete(*held)
        await self.make_due("kids")
        await self.fire()
        workers = [parts[0] for parts in (await self.look()).keys_of("worker").values()]
        await self.expire_session(*workers)
        await self.reap()
        more = True
        while more:
            _deleted, more = await self.shard.runs.expire(-1, 1000)
        return await self.look()
