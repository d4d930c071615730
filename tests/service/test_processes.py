"""How the services live: health, reflection, signals, refusals to start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, cast, get_args

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from redis import Redis

from tests.support.raw_client import RawWorker, open_door
from tests.support.until import until
from windlass_core.local import LocalCluster
from windlass_core.service import EXIT_REFUSED, EXIT_UNAVAILABLE
from windlass_core.store.processes import ServiceName

if TYPE_CHECKING:
    from windlass_core.local import Process

SERVICES: tuple[ServiceName, ...] = get_args(ServiceName)
OWN = {
    "api": {
        "windlass.v1.RunService",
        "windlass.v1.WorkflowService",
        "windlass.v1.WorkerService",
        "windlass.v1.TokenService",
        "windlass.v1.SystemService",
        "windlass.v1.ScheduleService",
        "windlass.v1.RateLimitService",
    },
    "dispatcher": {"windlass.v1.DispatchService"},
    "scheduler": set(),
}


def _address(cluster: LocalCluster, service: ServiceName) -> str:
    (process,) = cluster.processes(service)
    return f"127.0.0.1:{process.ports['grpc']}"


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_says_that_it_is_healthy(cluster: LocalCluster, service: ServiceName) -> None:
    """As a whole, and for each of its gRPC services; others it does not know."""
    async with open_door(_address(cluster, service)) as door:
        for name in ("", *OWN[service]):
            answer = await door.health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await door.health.Check(health_pb2.HealthCheckRequest(service="unknown"))
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_describes_itself(cluster: LocalCluster, service: ServiceName) -> None:
    """By server reflection: the list of services, and the file of one."""
    async with open_door(_address(cluster, service)) as door:
        call = door.reflection.ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = {each.name for each in (await call.read()).list_services_response.service}
        assert listed == {*OWN[service], "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        for name in OWN[service]:
            await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=name))
            assert (await call.read()).file_descriptor_response.file_descriptor_proto
        await call.done_writing()


def _get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - http to ourselves
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def _http(cluster: LocalCluster, service: ServiceName, place: int = 0) -> str:
    return f"http://127.0.0.1:{cluster.processes(service)[place].ports['http']}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_tells_its_health_over_http(cluster: LocalCluster, service: ServiceName) -> None:
    """Alive, and ready: the store answers, for the api a dispatcher is there."""
    assert _get(f"{_http(cluster, service)}/health/live") == (200, {"status": "live"})
    assert _get(f"{_http(cluster, service)}/health/ready")[0] == 200


def test_a_scheduler_that_stands_by_is_ready_too() -> None:
    """It says so: one of the two owns the shard."""
    with LocalCluster(apis=0, dispatchers=0, schedulers=2) as cluster:
        doors = [f"{_http(cluster, 'scheduler', place)}/health/ready" for place in (0, 1)]

        def has_an_owner() -> bool:
            told = [_get(door) for door in doors]
            assert [code for code, _ in told] == [200, 200]
            return sorted(each["shard"] for _, each in told) == ["owned", "standby"]

        until(has_an_owner, "one owns the shard, the other stands by")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_without_its_store_is_alive_and_not_ready(service: ServiceName) -> None:
    """One that stands still counts as away after two seconds."""
    with _one(service) as cluster:
        (store,) = cluster.processes("store")
        store.send(signal.SIGSTOP)
        assert _get(f"{_http(cluster, service)}/health/live")[0] == 200
        code, told = _get(f"{_http(cluster, service)}/health/ready")
        store.send(signal.SIGCONT)
    assert (code, told["reasons"]) == (503, ["the store has not answered within 2 s"])


def test_a_service_that_leaves_is_alive_and_not_ready() -> None:
    """Until the calls that are open have ended."""
    with _one("api") as cluster:
        (process,) = cluster.processes("api")
        (store,) = cluster.processes("store")
        store.send(signal.SIGSTOP)
        process.send(signal.SIGTERM)
        door = f"{_http(cluster, 'api')}/health/ready"
        told = (503, {"status": "not ready", "reasons": ["shutting down"]})
        until(lambda: _get(door) == told, "it says that it is shutting down")
        store.send(signal.SIGCONT)
        assert process.wait() == 0


def test_an_api_without_a_dispatcher_is_not_ready(cluster: LocalCluster) -> None:
    """And says why; it is alive nevertheless."""
    with LocalCluster(dispatchers=0, schedulers=0) as lonely:
        assert _get(f"http://{lonely.http_address}/health/live")[0] == 200
        code, told = _get(f"http://{lonely.http_address}/health/ready")
    assert (code, told["reasons"]) == (503, ["no dispatcher is alive"])


@pytest.mark.parametrize(
    ("service", "number"), [*((service, signal.SIGTERM) for service in SERVICES), ("api", signal.SIGINT)]
)
def test_a_signal_ends_a_service_cleanly_and_soon(service: ServiceName, number: signal.Signals) -> None:
    """With 0, and nothing of it is left in the store."""
    with _one(service) as cluster:
        (process,) = cluster.processes(service)
        asked = time.monotonic()
        process.send(number)
        assert process.wait() == 0, process.last_output()
        assert time.monotonic() - asked < 5
        with Redis.from_url(cluster.store_url, decode_responses=True) as client:
            assert not [key for key in client.scan_iter() if "pres:" in key or "addr:" in key or "box:" in key]


def _one(service: ServiceName) -> LocalCluster:
    return LocalCluster(
        apis=int(service == "api"), dispatchers=int(service == "dispatcher"), schedulers=int(service == "scheduler")
    )


async def test_a_dispatcher_sends_its_workers_elsewhere() -> None:
    """They hear Goodbye, and then UNAVAILABLE: they may go on at another one."""
    with _one("dispatcher") as cluster:
        (process,) = cluster.processes("dispatcher")
        async with open_door(_address(cluster, "dispatcher")) as door:
            worker = RawWorker(door, "any")
            await worker.connect()
            process.send(signal.SIGTERM)
            assert (await worker.receive("goodbye")).reason
            assert await worker.ended() == grpc.StatusCode.UNAVAILABLE
        assert process.wait() == 0


def test_a_further_signal_ends_a_service_at_once() -> None:
    """Whatever the first one still waits for."""
    with _one("scheduler") as cluster:
        (process,) = cluster.processes("scheduler")
        (store,) = cluster.processes("store")
        # With its store stopped in its tracks, a service can't say goodbye.
        store.send(signal.SIGSTOP)
        popen = process._popen
        assert popen is not None
        deadline = time.monotonic() + 5
        # Signals that come together count as one: it is asked until it has heard two.
        while popen.poll() is None:
            assert time.monotonic() < deadline
            process.send(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                popen.wait(0.05)
        assert process.wait() == 1
        store.send(signal.SIGCONT)


def test_stopping_a_cluster_twice_or_before_its_start_is_no_harm() -> None:
    """As with every service."""
    cluster = LocalCluster(apis=0, dispatchers=0, schedulers=0)
    cluster.stop()
    cluster.start()
    cluster.stop()
    cluster.stop()


def _try_to_start(service: str, **settings: str) -> tuple[int, str]:
    """The exit code and what was said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
    listen = {"WINDLASS_LISTEN": "127.0.0.1:0", "WINDLASS_HTTP_LISTEN": "127.0.0.1:0"}
    told = subprocess.run(
        [sys.executable, "-m", f"windlass_{service}"],
        env={**environment, **listen, "WINDLASS_LOG_FORMAT": "json", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return told.returncode, told.stderr


def test_a_store_that_may_evict_is_refused(store_url: str) -> None:
    """Before anything is served."""
    with Redis.from_url(store_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    code, told = _try_to_start("dispatcher", WINDLASS_STORE_URL=store_url)
    assert code == EXIT_UNAVAILABLE
    assert "maxmemory-policy is allkeys-lru" in told
    assert "Traceback" not in told


def test_a_store_that_is_not_there_is_refused() -> None:
    """With its address, and what to look at; programs get their logs as JSON."""
    code, told = _try_to_start("scheduler", WINDLASS_STORE_URL="redis://:secret@127.0.0.1:1/0")
    assert code == EXIT_UNAVAILABLE
    (line,) = [cast("dict[str, Any]", json.loads(line)) for line in told.splitlines()]
    assert (line["service"], line["level"], line["event"]) == ("scheduler", "error", "can't start")
    assert "can't reach the store at redis://127.0.0.1:1/0" in line["reason"]
    assert "secret" not in told


@pytest.mark.parametrize("service", SERVICES)
def test_a_wrong_setting_is_named(service: str) -> None:
    """Before anything is reached for."""
    code, told = _try_to_start(service, WINDLASS_LOG_LEVEL="LOUD", WINDLASS_SESSION_TTL="soon")
    assert code == EXIT_REFUSED
    assert "WINDLASS_LOG_LEVEL" in told
    assert "WINDLASS_SESSION_TTL" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("service", "setting"),
    [
        ("api", "WINDLASS_LISTEN"),
        ("api", "WINDLASS_HTTP_LISTEN"),
        ("dispatcher", "WINDLASS_LISTEN"),
        ("dispatcher", "WINDLASS_HTTP_LISTEN"),
        ("scheduler", "WINDLASS_LISTEN"),
        ("scheduler", "WINDLASS_HTTP_LISTEN"),
    ],
)
def test_a_port_that_is_taken_is_named(store_url: str, service: str, setting: str) -> None:
    """Two processes never share one unnoticed."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, told = _try_to_start(service, WINDLASS_STORE_URL=store_url, **{setting: address})
    assert code == EXIT_REFUSED
    assert f"can't listen on {address}" in told
    assert "Traceback" not in told


def test_a_service_comes_back_after_its_store_did() -> None:
    """Killed and started again from its log, under services that wait for it."""
    with LocalCluster() as cluster:
        (store,) = cluster.processes("store")
        store.kill()
        store.restart()
        deadline = time.monotonic() + 30
        while _get(f"http://{cluster.http_address}/health/ready")[0] != 200:
            assert time.monotonic() < deadline
        processes: list[Process] = [process for name in SERVICES for process in cluster.processes(name)]
        for process in processes:
            process.send(signal.SIGTERM)
        assert [process.wait() for process in processes] == [0, 0, 0]
