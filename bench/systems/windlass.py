# ruff: noqa: D103 - bench.client and bench.system say what these do
"""Our engine: store, api, dispatcher, scheduler, one worker process and one client process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from bench.system import System

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from bench.client import Client
    from bench.store import Store

_SERVICES: tuple[Literal["api", "dispatcher", "scheduler"], ...] = ("api", "dispatcher", "scheduler")


def _start_cluster(store: Store, stack: ExitStack, folder: Path) -> tuple[dict[str, list[int]], dict[str, Any]]:
    from windlass_core.local import LocalCluster

    del folder
    cluster = LocalCluster(store_url=store.url)
    stack.callback(cluster.stop)
    cluster.start()
    pids: dict[str, list[int]] = {
        service: [process.pid for process in cluster.processes(service)] for service in _SERVICES
    }
    return pids, {"api_address": cluster.api_address}


SYSTEMS = (
    System(
        key="windlass",
        title="Windlass",
        module="windlass",
        shown=("windlass", "grpcio", "redis", "uvloop", "pydantic"),
        options={"slots": 200},
        fast=True,
        abilities=frozenset({"batch"}),
        services=_start_cluster,
    ),
)


def run_worker(api_address: str, slots: int, task: str = "noop") -> None:
    from bench.engine_tasks import Application

    del task  # it serves all of them
    application = Application(api_address)
    application.app.worker("bench", slots=slots, workflows=application.served()).start()


def run_streams(api_address: str, slots: int, count: int) -> None:
    from bench.stream_workers import run_stream_workers

    run_stream_workers(api_address, slots=slots, count=count)


def open_client(api_address: str, slots: int, task: str = "noop") -> Client:
    from bench.engine_client import EngineClient

    del slots
    return EngineClient(api_address, task)
