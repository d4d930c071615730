"""Every RPC with every token that must not do, and with the one that must."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from redis import Redis

from tests.support.every_rpc import FAR_MS, REQUESTS, Things, hello_of, subscribe_to
from tests.support.raw_client import PATIENCE_S, detail_of, open_door, submission, workflow
from tests.support.secured import AnyCaller, Metadata, all_methods, any_caller, bearer
from tests.support.tokens import make_token, mint
from windlass.v1 import (
    dispatch_pb2,
    dispatch_service_pb2,
    error_pb2,
    run_service_pb2,
    workflow_service_pb2,
)
from windlass_core.domain.access import NEEDED, OPEN_SERVICES, Scope, method_name
from windlass_core.domain.cron_spec import cron_id_of
from windlass_core.domain.names import mint_run_id
from windlass_core.local import LocalCluster
from windlass_core.randomness import mint_id
from windlass_core.rpc.status import SCOPES
from windlass_core.store.shard import Shard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


OURS, THEIRS = "acme", "evil"


METHODS: Final = sorted(all_methods())


#: Stores something of the caller's own, whosever things it names.
STORES_ITS_OWN: Final = {
    "WorkflowService.RegisterWorkflows",
    "WorkflowService.PauseQueues",
    "RateLimitService.PutRateLimit",
    "TokenService.CreateToken",
}


#: Answers with something new each time.
ANSWERS_ANEW: Final = {*STORES_ITS_OWN, "SystemService.GetSystem"}


REFUSALS: Final = {
    "no token": error_pb2.ERROR_REASON_TOKEN_MISSING,
    "garbage": error_pb2.ERROR_REASON_TOKEN_UNKNOWN,
    "never made": error_pb2.ERROR_REASON_TOKEN_UNKNOWN,
    "expired": error_pb2.ERROR_REASON_TOKEN_EXPIRED,
    "revoked": error_pb2.ERROR_REASON_TOKEN_REVOKED,
}


@pytest.fixture(scope="module")
def secured() -> Iterator[LocalCluster]:
    """Give a cluster that wants tokens, and in which no session expires meanwhile."""
    settings = {"WINDLASS_REQUIRE_TOKENS": "true", "WINDLASS_SESSION_TTL": "600"}
    with LocalCluster(settings=settings) as cluster:
        yield cluster


@pytest.fixture
async def shard(secured: LocalCluster) -> AsyncIterator[Shard]:
    """Give its store."""
    shard = Shard(secured.store_url)
    yield shard
    await shard.close()


@pytest.fixture
async def caller(secured: LocalCluster) -> AsyncIterator[AnyCaller]:
    """Give a way to call anything."""
    async with any_caller(secured) as caller:
        yield caller


@pytest.fixture
async def ours(shard: Shard, caller: AnyCaller) -> AsyncIterator[Things]:
    """Give what our namespace has, with a worker that stays."""
    text, token_id = await make_token(shard, namespace=OURS)
    things = replace(_nothing(OURS), token_id=token_id)
    connection = caller.open("/windlass.v1.DispatchService/Connect", None, bearer(text))
    await connection.write(hello_of(things))
    assert (await connection.read()).HasField("welcome")
    await shard.rate_limits.put(OURS, things.task, 1, 1_000)
    delayed = submission(things.task, run_id=things.run_id, delay_ms=3_600_000)
    scheduled = submission(things.task, run_id=things.scheduled_id, run_at_ms=FAR_MS)
    await caller.first(
        "/windlass.v1.RunService/SubmitRuns", run_service_pb2.SubmitRunsRequest(runs=[delayed, scheduled]), bearer(text)
    )
    create = REQUESTS["ScheduleService.CreateCron"](things)
    await caller.first("/windlass.v1.ScheduleService/CreateCron", create, bearer(text))
    async with asyncio.timeout(PATIENCE_S):  # the scheduler finds its first tick
        while things.cron_id in {cron.cron_id for cron in (await shard.crons.due()).crons}:
            pass
    yield things
    connection.cancel()
    async with asyncio.timeout(PATIENCE_S):
        for namespace in (OURS, THEIRS):
            while await shard.workers.all(namespace):
                pass


def _nothing(namespace: str = THEIRS) -> Things:
    """What was never there."""
    task = f"task-{mint_id()}"
    run_id, scheduled_id = (mint_run_id(1, mint_id().encode()[:10]) for _ in range(2))
    cron_id = cron_id_of(namespace, task, "yearly", declared=False)
    return Things(task, run_id, mint_id(), mint()[1].id, scheduled_id, cron_id)


async def _bad_tokens(shard: Shard) -> dict[str, Metadata]:
    expired, _ = await make_token(shard, namespace=OURS, ttl_ms=1)
    revoked, revoked_id = await make_token(shard, namespace=OURS)
    await shard.tokens.revoke(OURS, [revoked_id])
    return {
        "no token": (),
        "garbage": bearer("garbage"),
        "never made": bearer(mint()[0]),
        "expired": bearer(expired),
        "revoked": bearer(revoked),
    }


def _stored(cluster: LocalCluster) -> dict[bytes, bytes]:
    """All that the store keeps, but for what processes tell of themselves."""
    own = (b"pres:", b"addr:", b"load:", b"own", b"wake", b"inbox:", b"out:")
    with Redis.from_url(cluster.store_url) as client:
        keys = [key for key in client.scan_iter() if not key.partition(b":")[2].startswith(own)]
        return {key: client.dump(key) or b"" for key in keys}


async def _outcome(caller: AnyCaller, method: str, things: Things, metadata: Metadata) -> tuple[str, bytes]:
    """What is answered: a status and the message or the typed detail, the things' names made alike."""
    try:
        answer = await caller.first(method, REQUESTS[method_name(method)](things), metadata)
        status, said = "OK", answer.SerializeToString(deterministic=True)
    except grpc.aio.AioRpcError as error:
        status, said = error.code().name, detail_of(error).SerializeToString(deterministic=True)
    for field in ("task", "run_id", "worker_id", "token_id", "scheduled_id", "cron_id"):
        said = said.replace(getattr(things, field).encode(), field.encode())
    return status, said


def test_every_rpc_is_in_the_matrix_and_in_the_table() -> None:
    """One that is new is refused to everybody until it is in both."""
    assert {method_name(method) for method in METHODS} == set(REQUESTS)
    assert set(METHODS) == set(NEEDED)


@pytest.mark.parametrize("method", METHODS)
async def test_who_is_not_known_is_refused(
    method: str, secured: LocalCluster, shard: Shard, caller: AnyCaller, ours: Things
) -> None:
    """Without a token, with noise, one that never was, has expired or been revoked; nothing is stored."""
    tokens = await _bad_tokens(shard)
    request = REQUESTS[method_name(method)](ours)
    before = _stored(secured)
    for kind, reason in REFUSALS.items():
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await caller.first(method, request, tokens[kind])
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED, kind
        detail = detail_of(raised.value)
        assert (detail.reason, list(detail.missing_scopes)) == (reason, []), kind
        for secret in (ours.run_id, ours.task, ours.worker_id, OURS, "garbage", "wlt_"):
            assert secret not in f"{raised.value.details()} {detail}", kind
    assert _stored(secured) == before


@pytest.mark.parametrize("method", METHODS)
async def test_the_wrong_scopes_are_refused_and_the_right_one_is_named(
    method: str, secured: LocalCluster, shard: Shard, caller: AnyCaller, ours: Things
) -> None:
    """All others together do not do; nothing is stored."""
    others = frozenset(Scope) - NEEDED[method] - {Scope.ADMIN}
    _, text = await shard.tokens.make(OURS, name="", scopes=others, ttl_ms=0)
    before = _stored(secured)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await caller.first(method, REQUESTS[method_name(method)](ours), bearer(text))
    detail = detail_of(raised.value)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert detail.reason == error_pb2.ERROR_REASON_SCOPE_MISSING
    assert set(detail.missing_scopes) == {SCOPES[scope] for scope in NEEDED[method]}
    assert all(scope in detail.message for scope in NEEDED[method])
    assert ours.run_id not in detail.message
    assert _stored(secured) == before


@pytest.mark.parametrize("method", METHODS)
async def test_another_namespace_sees_nothing_of_ours(
    method: str, secured: LocalCluster, shard: Shard, caller: AnyCaller, ours: Things
) -> None:
    """What we have is answered exactly as what never was, and stays as it is."""
    text, _ = await make_token(shard, namespace=THEIRS)
    nothing = _nothing()
    name = method_name(method)
    before = _stored(secured)
    about_ours = await _outcome(caller, method, ours, bearer(text))
    if name not in STORES_ITS_OWN:
        assert _stored(secured) == before
    for known in (ours.run_id, ours.task, ours.worker_id, ours.token_id, ours.scheduled_id, ours.cron_id):
        assert known.encode() not in about_ours[1]
    after = _stored(secured)
    assert {key: after.get(key) for key in before if OURS.encode() in key} == {
        key: value for key, value in before.items() if OURS.encode() in key
    }
    if name == "DispatchService.Connect":  # the id of a worker is taken, like that of a run: no more is told
        assert about_ours[0] == "INVALID_ARGUMENT"
    elif name not in ANSWERS_ANEW:
        assert about_ours == await _outcome(caller, method, nothing, bearer(text))


@pytest.mark.parametrize("method", METHODS)
async def test_any_one_of_the_right_scopes_does(
    method: str, shard: Shard, caller: AnyCaller, ours: Things, secured: LocalCluster
) -> None:
    """And so does admin."""
    request = REQUESTS[method_name(method)]
    cancel = run_service_pb2.CancelRunsRequest(run_ids=[ours.run_id])
    admin, _ = await make_token(shard, namespace=OURS)
    await caller.first("/windlass.v1.RunService/CancelRuns", cancel, bearer(admin))  # some calls wait for its end
    for scope in sorted(NEEDED[method] | {Scope.ADMIN}):
        text, _ = await make_token(shard, scope, namespace=OURS)
        answer = await caller.first(method, request(ours), bearer(text))
        if method.endswith("/Session"):
            assert answer.subscribed.HasField("error") == (scope not in {Scope.READ, Scope.ADMIN})


async def test_the_doors_that_are_open_to_all(secured: LocalCluster) -> None:
    """Health and reflection, on every service; there is nothing else."""
    served: Counter[str] = Counter()
    for service in ("api", "dispatcher", "scheduler"):
        (process,) = secured.processes(service)
        async with open_door(f"127.0.0.1:{process.ports['grpc']}") as door:
            assert (await door.health.Check(health_pb2.HealthCheckRequest())).status
            call = door.reflection.ServerReflectionInfo()
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            listed = (await call.read()).list_services_response.service
            served.update(each.name for each in listed)
            call.cancel()
    assert {name for name in served if name not in OPEN_SERVICES} == {m[1:].rpartition("/")[0] for m in METHODS}


async def test_a_run_id_of_another_namespace_tells_only_that_it_is_taken(
    caller: AnyCaller, shard: Shard, ours: Things
) -> None:
    """By a submit with the same content; and nobody is told of its end."""
    text, _ = await make_token(shard, namespace=THEIRS)
    admin, _ = await make_token(shard, namespace=OURS)
    register = workflow_service_pb2.RegisterWorkflowsRequest(workflows=[workflow(ours.task)])
    await caller.first("/windlass.v1.WorkflowService/RegisterWorkflows", register, bearer(text))
    session = caller.open("/windlass.v1.RunService/Session", None, bearer(text))
    same = submission(ours.task, run_id=ours.run_id, delay_ms=3_600_000)
    submit = run_service_pb2.SessionSubmit(runs=[same], subscribe=True)
    await session.write(run_service_pb2.SessionRequest(request_id=1, submit=submit))
    (outcome,) = (await session.read()).submitted.outcomes
    assert outcome.error.reason == error_pb2.ERROR_REASON_RUN_ID_TAKEN
    await session.write(subscribe_to(ours))
    assert list((await session.read()).subscribed.unknown_run_ids) == [ours.run_id]
    cancel = run_service_pb2.CancelRunsRequest(run_ids=[ours.run_id], reason="a secret")
    await caller.first("/windlass.v1.RunService/CancelRuns", cancel, bearer(admin))
    # Whatever the outbox had for it would have come before this answer.
    await caller.first("/windlass.v1.RunService/WaitResult", REQUESTS["RunService.WaitResult"](ours), bearer(admin))
    await session.write(subscribe_to(_nothing()))
    assert (await session.read()).HasField("subscribed")
    session.cancel()


async def test_a_worker_id_of_another_namespace_disturbs_nobody(
    caller: AnyCaller, shard: Shard, ours: Things, secured: LocalCluster
) -> None:
    """Its stream goes on, on this dispatcher or any other."""
    text, _ = await make_token(shard, namespace=OURS)
    mine = replace(ours, worker_id=mint_id())
    worker = caller.open("/windlass.v1.DispatchService/Connect", None, bearer(text))
    await worker.write(hello_of(mine))
    assert (await worker.read()).HasField("welcome")
    theirs, _ = await make_token(shard, namespace=THEIRS)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await caller.first("/windlass.v1.DispatchService/Connect", hello_of(mine), bearer(theirs))
    assert detail_of(raised.value).reason == error_pb2.ERROR_REASON_PROTOCOL
    beat = dispatch_pb2.Heartbeat(sequence=7)
    await worker.write(dispatch_service_pb2.ConnectRequest(heartbeat=beat))
    async with asyncio.timeout(10):
        assert (await worker.read()).heartbeat_answer.sequence == 7
    worker.cancel()


async def test_a_worker_cancels_runs_by_their_ids_alone(caller: AnyCaller, shard: Shard, ours: Things) -> None:
    """A task may cancel its own run; what it can't name it does not reach."""
    work, _ = await make_token(shard, Scope.WORK, namespace=OURS)
    everything = run_service_pb2.CancelRunsRequest(filter=run_service_pb2.RunFilter(), all=True)
    with pytest.raises(grpc.aio.AioRpcError, match="cancelling by a filter needs the scope submit"):
        await caller.first("/windlass.v1.RunService/CancelRuns", everything, bearer(work))
    named = run_service_pb2.CancelRunsRequest(run_ids=[ours.run_id])
    answer = await caller.first("/windlass.v1.RunService/CancelRuns", named, bearer(work))
    assert list(answer.outcomes) == [run_service_pb2.CANCEL_OUTCOME_CANCELLED]
