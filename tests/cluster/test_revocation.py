"""A token that has ended ends all that was opened with it, in every process, at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from redis import Redis

from tests.support.raw_client import detail_of, submission, workflow
from tests.support.secured import any_caller, bearer, ending, logs_of
from tests.support.tokens import make_token
from tests.support.until import until
from windlass import ClientConfig, Unauthorized, Windlass
from windlass.v1 import dispatch_pb2, dispatch_service_pb2, error_pb2, run_service_pb2, workflow_service_pb2
from windlass_core.domain.access import Scope
from windlass_core.domain.names import mint_run_id
from windlass_core.local import LocalCluster
from windlass_core.randomness import mint_id
from windlass_core.store.shard import Shard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.secured import AnyCaller

RUNS = "/windlass.v1.RunService/"
SECONDS = 5.0


@pytest.fixture(scope="module")
def secured() -> Iterator[LocalCluster]:
    """Give two of each, which want tokens and log all there is; no token may stand in their logs."""
    settings = {"WINDLASS_REQUIRE_TOKENS": "true"}
    with LocalCluster(apis=2, dispatchers=2, settings=settings, log_level="DEBUG") as cluster:
        yield cluster
        logs = dict(logs_of(cluster))
        assert "call ended with its token" in logs["api-0"]
        assert not [name for name, text in logs.items() if "wlt_" in text]


@pytest.fixture
async def shard(secured: LocalCluster) -> AsyncIterator[Shard]:
    """Give the cluster's store."""
    shard = Shard(secured.store_url)
    yield shard
    await shard.close()


def _hello() -> dispatch_service_pb2.ConnectRequest:
    hello = dispatch_pb2.Hello(worker_id=mint_id(), name="raw", slots=1, workflows=[workflow("never-run")])
    return dispatch_service_pb2.ConnectRequest(hello=hello)


async def _pending_run(caller: AnyCaller, text: str) -> str:
    run_id = mint_run_id(1, os.urandom(10))
    register = workflow_service_pb2.RegisterWorkflowsRequest(workflows=[workflow("pending")])
    await caller.first("/windlass.v1.WorkflowService/RegisterWorkflows", register, bearer(text))
    runs = [submission("pending", run_id=run_id, delay_ms=3_600_000)]
    await caller.first(RUNS + "SubmitRuns", run_service_pb2.SubmitRunsRequest(runs=runs), bearer(text))
    return run_id


async def _open_session(caller: AnyCaller, run_id: str, text: str) -> Any:
    session = caller.open(RUNS + "Session", None, bearer(text))
    subscribe = run_service_pb2.SessionSubscribe(run_ids=[run_id])
    await session.write(run_service_pb2.SessionRequest(request_id=1, subscribe=subscribe))
    assert not (await session.read()).subscribed.unknown_run_ids
    return session


async def _open_all(caller: AnyCaller, run_id: str, text: str) -> list[Any]:
    """A call of each kind that lasts."""
    connection = caller.open("/windlass.v1.DispatchService/Connect", None, bearer(text))
    await connection.write(_hello())
    assert (await connection.read()).HasField("welcome")
    wait = run_service_pb2.WaitResultRequest(run_id=run_id)
    return [
        connection,
        await _open_session(caller, run_id, text),
        caller.open(RUNS + "WaitResult", wait, bearer(text)),
        caller.open(RUNS + "TailLogs", run_service_pb2.TailLogsRequest(run_id=run_id), bearer(text)),
        caller.open(RUNS + "SubscribeToStream", run_service_pb2.SubscribeToStreamRequest(run_id=run_id), bearer(text)),
        caller.open(RUNS + "WatchRuns", run_service_pb2.WatchRunsRequest(run_ids=[run_id]), bearer(text)),
    ]


async def _all_end(calls: list[Any], reason: error_pb2.ErrorReason.ValueType) -> None:
    async with asyncio.timeout(SECONDS):
        errors = await asyncio.gather(*map(ending, calls))
    assert {error.code() for error in errors} == {grpc.StatusCode.UNAUTHENTICATED}
    assert {detail_of(error).reason for error in errors} == {reason}


async def test_all_that_a_revoked_token_opened_ends(secured: LocalCluster, shard: Shard) -> None:
    """Whichever process has it; what another token opened goes on."""
    text, token_id = await make_token(shard)
    other, _ = await make_token(shard)
    async with any_caller(secured, 0) as one, any_caller(secured, 1) as two:
        run_id = await _pending_run(one, text)
        calls = [*await _open_all(one, run_id, text), *await _open_all(two, run_id, text)]
        untouched = await _open_session(one, run_id, other)
        await shard.tokens.revoke("default", [token_id])
        await _all_end(calls, error_pb2.ERROR_REASON_TOKEN_REVOKED)
        await untouched.write(run_service_pb2.SessionRequest(request_id=2, submit=run_service_pb2.SessionSubmit()))
        untouched.cancel()


async def test_a_revocation_that_nobody_was_told_of_is_noticed(secured: LocalCluster, shard: Shard) -> None:
    """Whose connection to the store broke doubts all that it knew."""
    text, token_id = await make_token(shard)
    async with any_caller(secured) as caller:
        connection, session, *calls = await _open_all(caller, await _pending_run(caller, text), text)
        await shard.redis.hset(shard.keys.of("token", token=token_id), "rv", 1)
        with Redis.from_url(secured.store_url) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await _all_end([session], error_pb2.ERROR_REASON_TOKEN_REVOKED)
        for call in calls:  # one that was asking the store just then is told that it is away
            assert (await ending(call)).code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE}
        # Work may have been lost too: workers are told to connect again, which is refused.
        assert (await ending(connection)).code() in {
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.FAILED_PRECONDITION,
        }
        with pytest.raises(grpc.aio.AioRpcError, match="has been revoked"):
            await caller.first("/windlass.v1.DispatchService/Connect", _hello(), bearer(text))


async def test_a_stream_ends_when_its_token_expires(secured: LocalCluster, shard: Shard) -> None:
    """At its time, though nobody says anything."""
    lasting, _ = await make_token(shard)
    async with any_caller(secured) as caller:
        run_id = await _pending_run(caller, lasting)
        text, _ = await make_token(shard, ttl_ms=3_000)
        calls = await _open_all(caller, run_id, text)
        await _all_end(calls, error_pb2.ERROR_REASON_TOKEN_EXPIRED)


class _Worker:
    """`windlass worker` with its token in a file."""

    def __init__(self, cluster: LocalCluster, folder: Path, text: str) -> None:
        self.token_file = folder / "token"
        self.token_file.write_text(text)
        self._log = folder / "worker.log"
        tasks = (
            "from windlass import Windlass\napp = Windlass()\n@app.task\ndef double(n: int) -> int:\n    return n * 2\n"
        )
        (folder / "secured_tasks.py").write_text(tasks)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
        environment |= {"WINDLASS_API_ADDRESS": cluster.api_address, "WINDLASS_TOKEN_FILE": str(self.token_file)}
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "windlass.cli", "worker", "secured_tasks"]
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)

    def said(self) -> str:
        return self._log.read_text()

    def wait_connected(self, times: int = 1) -> None:
        until(lambda: self.said().count("connected to the dispatcher at") >= times, f"connected: {self.said()}")


def test_a_worker_leaves_when_its_token_is_revoked(secured: LocalCluster, tmp_path: Path) -> None:
    """With an exit code of its own, and it says why; a new token in its file keeps it."""
    shard_url = secured.store_url

    async def make() -> tuple[str, str]:
        shard = Shard(shard_url)
        try:
            return await make_token(shard, Scope.WORK)
        finally:
            await shard.close()

    async def revoke(token_id: str) -> None:
        shard = Shard(shard_url)
        await shard.tokens.revoke("default", [token_id])
        await shard.close()

    first, first_id = asyncio.run(make())
    second, second_id = asyncio.run(make())
    worker = _Worker(secured, tmp_path, first)
    try:
        worker.wait_connected()
        worker.token_file.write_text(second)
        asyncio.run(revoke(first_id))
        worker.wait_connected(times=2)
        assert worker.process.poll() is None
        asyncio.run(revoke(second_id))
        assert worker.process.wait(30) == 8
    finally:
        worker.process.kill()
        worker.process.wait()
    assert f"error: the token {second_id} has been revoked" in worker.said()
    assert "Traceback" not in worker.said()
    assert "wlt_" not in worker.said()


async def test_a_client_that_waits_is_told(secured: LocalCluster, shard: Shard) -> None:
    """Its calls raise; they do not wait for ever."""
    text, token_id = await make_token(shard)
    async with any_caller(secured) as caller:
        run_id = await _pending_run(caller, text)
    config = ClientConfig.model_validate({"api_address": secured.api_address, "token": text})
    with Windlass(config=config) as app:
        caught: list[Exception] = []

        def wait() -> None:
            try:
                app.runs.ref(run_id).result(timeout=30)
            except Unauthorized as error:
                caught.append(error)

        assert app.runs.get(run_id).id == run_id
        thread = threading.Thread(target=wait)
        thread.start()
        outbox_waits = f"wl{{0}}:r:{run_id}"
        with Redis.from_url(secured.store_url) as client:
            until(lambda: client.hexists(outbox_waits, "w"), "the api waits for the run")
        await shard.tokens.revoke("default", [token_id])
        await asyncio.to_thread(thread.join, 30)
        (error,) = caught
        assert isinstance(error, Unauthorized)
        assert error.why == "revoked"
