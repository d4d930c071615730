"""Owns what `windlass doctor` sees over the wire: api, versions, clocks, token, store, dispatchers, workers.

Runs on the I/O thread. What is encrypted, and until when, is `tls_checks`' business.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import grpc

from windlass.cli.findings import Finding, Verdict
from windlass.cli.output import length
from windlass.cli.tls_checks import check_tls
from windlass.exceptions import Unauthorized, WindlassError
from windlass.transport.channel import call_metadata, open_channel
from windlass.transport.rpc_status import from_rpc_error
from windlass.v1 import (
    system_service_pb2,
    token_pb2,
    worker_service_pb2,
    workflow_service_pb2,
)
from windlass.v1.system_service_pb2_grpc import SystemServiceStub
from windlass.v1.worker_service_pb2_grpc import WorkerServiceStub
from windlass.v1.workflow_service_pb2_grpc import WorkflowServiceStub

if TYPE_CHECKING:
    from windlass.config import ClientConfig
    from windlass.v1 import system_pb2

#: The contracts that this SDK speaks.
_PROTOCOL: Final = "windlass.v1"
#: Clocks that differ by more make delays, expiries and logs hard to understand.
_CLOCKS_MS: Final = 2_000
_EXPIRES_SOON: Final = timedelta(days=14)
_SLOW_STORE_US: Final = 20_000


async def check_connections(config: ClientConfig) -> list[Finding]:
    """Look at all that is behind the api's address."""
    found = await check_tls(config.api_address, config)
    async with open_channel(config.api_address, config) as channel:
        calls = _Calls(channel, config)
        began = time.time()
        try:
            system = await calls.call(SystemServiceStub(channel).GetSystem, system_service_pb2.GetSystemRequest())
        except Unauthorized as error:
            return [*found, Finding.failed("token", str(error), "set WINDLASS_TOKEN or WINDLASS_TOKEN_FILE")]
        except WindlassError as error:
            return [*found, Finding.failed("api", str(error), "")]
        took = time.time() - began
        found.append(Finding.ok("api", f"{config.api_address} answers in {length(timedelta(seconds=took))}"))
        found += [*_versions(system), *_clocks(system, (began + took / 2) * 1000), _token(system.caller)]
        found += _store(system)
        found += await calls.check("dispatcher", _dispatchers(calls, config))
        found += await calls.check("workers", _workers(calls))
    return found


class _Calls:
    """Unary calls with this client's token and patience."""

    def __init__(self, channel: grpc.aio.Channel, config: ClientConfig) -> None:
        self.channel = channel
        self._config = config

    async def call(self, method: Any, request: Any) -> Any:
        """Make one call; raises WindlassError."""
        try:
            return await method(request, metadata=call_metadata(self._config), timeout=self._config.connect_timeout)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self._config.api_address) from None

    async def check(self, name: str, looking: Any) -> list[Finding]:
        """Await a check; what the token does not allow is passed over, and said."""
        try:
            found: list[Finding] = await looking
        except Unauthorized as error:
            return [Finding.skipped(name, str(error))]
        except WindlassError as error:
            return [Finding.failed(name, str(error), "")]
        return found


def _versions(system: system_service_pb2.GetSystemResponse) -> list[Finding]:
    sdk, engine = version("windlass"), system.engine_version
    if system.protocol != _PROTOCOL:
        said = f"the api speaks {system.protocol}, this SDK {_PROTOCOL}"
        return [Finding.failed("versions", said, "install the SDK that belongs to the engine")]
    said = f"SDK {sdk}, engine {engine}, protocol {_PROTOCOL}" + (
        f", {system.store.product}" if system.HasField("store") else ""
    )
    if sdk.split(".")[:2] != engine.split(".")[:2]:
        return [Finding.warning("versions", said, "use the same minor version on both sides")]
    return [Finding.ok("versions", said)]


def _clocks(system: system_service_pb2.GetSystemResponse, here_ms: float) -> list[Finding]:
    clocks = {"this machine and the api": system.now_ms - here_ms}
    if system.HasField("store"):
        clocks["the api and the store"] = system.now_ms - system.store.now_ms
    apart = {who: abs(ms) for who, ms in clocks.items() if abs(ms) > _CLOCKS_MS}
    if apart:
        return [
            Finding.warning("clocks", f"{who} are {length(timedelta(milliseconds=ms))} apart", "run NTP on both")
            for who, ms in apart.items()
        ]
    worst = max(map(abs, clocks.values()))
    return [Finding.ok("clocks", f"of this machine, the api and the store: at most {worst:.0f} ms apart")]


def _token(caller: system_pb2.Caller) -> Finding:
    scopes = ", ".join(token_pb2.TokenScope.Name(scope).removeprefix("TOKEN_SCOPE_").lower() for scope in caller.scopes)
    if not caller.token_id:
        said = f"none came, and none is asked for; namespace {caller.namespace}"
        return Finding.ok("token", said)
    said = f"{caller.token_id} holds in namespace {caller.namespace}, scopes {scopes}"
    if not caller.expires_at_ms:
        return Finding.ok("token", f"{said}, never expires")
    expires = datetime.fromtimestamp(caller.expires_at_ms / 1000, UTC)
    said += f", expires {expires:%Y-%m-%d %H:%M} UTC"
    if expires - datetime.now(UTC) < _EXPIRES_SOON:
        return Finding.warning("token", said, "make another in time: windlass token create")
    return Finding.ok("token", said)


def _store(system: system_service_pb2.GetSystemResponse) -> list[Finding]:
    if not system.HasField("store"):
        remedy = "check that the store runs, and WINDLASS_STORE_URL of the services"
        return [Finding.failed("store", "the api cannot reach it", remedy)]
    store = system.store
    said = f"{store.product} answers the api in {store.latency_us / 1000:.1f} ms"
    if store.latency_us > _SLOW_STORE_US:
        found = [Finding.warning("store", said, "each step of a run waits for it: look at its load, and its distance")]
    else:
        found = [Finding.ok("store", said)]
    for each in store.findings:
        found.append(Finding(Verdict.FAILED if each.fatal else Verdict.WARNING, "store", each.said, each.remedy))
    if system.scheduler_alive:
        found.append(Finding.ok("scheduler", "one owns the shard"))
    else:
        found.append(Finding.failed("scheduler", "none is alive: no run starts", "run windlass scheduler"))
    return found


async def _dispatchers(calls: _Calls, config: ClientConfig) -> list[Finding]:
    """Whether each can be reached from here, which is where a worker would run."""
    if config.dispatcher_address:
        addresses = [config.dispatcher_address]
    else:
        request = worker_service_pb2.ListDispatchersRequest()
        addresses = (await calls.call(WorkerServiceStub(calls.channel).ListDispatchers, request)).addresses
    found = await asyncio.gather(*(_dispatcher(address, config) for address in addresses))
    return [finding for findings in found for finding in findings]


async def _dispatcher(address: str, config: ClientConfig) -> list[Finding]:
    try:
        async with open_channel(address, config) as channel, asyncio.timeout(config.connect_timeout):
            await channel.channel_ready()
    except TimeoutError:
        said = f"{address} cannot be reached from here within {config.connect_timeout:g} s"
        remedy = "check that it runs and its WINDLASS_ADVERTISE; behind a proxy set WINDLASS_DISPATCHER_ADDRESS"
        return [*await check_tls(address, config), Finding.failed("dispatcher", said, remedy)]
    return [Finding.ok("dispatcher", f"{address} can be reached")]


async def _workers(calls: _Calls) -> list[Finding]:
    workers = await calls.call(
        WorkerServiceStub(calls.channel).ListWorkers, worker_service_pb2.ListWorkersRequest(page_size=1000)
    )
    workflows = await calls.call(
        WorkflowServiceStub(calls.channel).ListWorkflows, workflow_service_pb2.ListWorkflowsRequest(page_size=1000)
    )
    if not workers.workers:
        return [Finding.warning("workers", "none is connected", "start one: windlass worker module:app")]
    slots = sum(worker.slots for worker in workers.workers)
    used = sum(worker.slots_used for worker in workers.workers)
    found = [Finding.ok("workers", f"{len(workers.workers)} connected, {used} of {slots} slots used")]
    for workflow in workflows.workflows:
        if workflow.queued_runs and not workflow.workers:
            said = f"{workflow.queued_runs} runs of {workflow.definition.name} are queued and no worker has it"
            found.append(Finding.warning("workers", said, "start a worker that has it"))
    return found
