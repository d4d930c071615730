# ruff: noqa: D103 - bench.client and bench.system say what these do
"""The bare path as a system; see bench.bare."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from bench.system import System

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from bench.client import Client
    from bench.store import Store


def _free_address() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def _start_services(store: Store, stack: ExitStack, folder: Path) -> tuple[dict[str, list[int]], dict[str, Any]]:
    from bench.processes import start_child

    addresses = {"api_address": _free_address(), "dispatcher_address": _free_address()}
    pids = {}
    for role in ("api", "scheduler", "dispatcher"):
        child = start_child(role, "bare", {"url": store.url, **addresses}, folder, stack)
        pids[role] = [child.pid]
    return pids, addresses


SYSTEMS = (
    System(
        key="bare",
        title="bare path",
        module="bare",
        shown=("grpcio", "redis"),
        fast=True,
        bound=True,
        services=_start_services,
    ),
)


def run_api(url: str, api_address: str, dispatcher_address: str) -> None:
    import uvloop

    from bench.bare.services import serve_api

    del dispatcher_address
    uvloop.run(serve_api(url, api_address))


def run_scheduler(url: str, api_address: str, dispatcher_address: str) -> None:
    import uvloop

    from bench.bare.services import serve_scheduler

    del api_address, dispatcher_address
    uvloop.run(serve_scheduler(url))


def run_dispatcher(url: str, api_address: str, dispatcher_address: str) -> None:
    import uvloop

    from bench.bare.services import serve_dispatcher

    del api_address
    uvloop.run(serve_dispatcher(url, dispatcher_address))


def run_worker(api_address: str, dispatcher_address: str) -> None:
    import uvloop

    from bench.bare.ends import work

    del api_address
    uvloop.run(work(dispatcher_address))


def open_client(api_address: str, dispatcher_address: str) -> Client:
    from bench.bare.ends import BareClient

    del dispatcher_address
    return BareClient(api_address)
