"""Owns how a service lives: starts, tells that it is ready, runs its loops, leaves on a signal."""

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop

from windlass_core.domain.errors import StoreUnavailable
from windlass_core.http_door import HttpDoor, MetricsGuard, Readiness, build_app
from windlass_core.metrics import Metrics
from windlass_core.observation import Observation
from windlass_core.pump import Backoff
from windlass_core.randomness import mint_id
from windlass_core.rpc.authentication import Authentication
from windlass_core.rpc.guard import Guard
from windlass_core.rpc.server import BindRefused, Keepalive, Server
from windlass_core.settings import ServiceSettings, SettingsRefused, read_settings
from windlass_core.store.connection import StoreRefused, check_store
from windlass_core.store.processes import ServiceName
from windlass_core.store.scripts import pack, unpack
from windlass_core.store.shard import Shard
from windlass_core.telemetry import configure_logs
from windlass_core.tls import TlsRefused

_log = structlog.get_logger(__name__)

PRESENCE_EVERY_S = 8.0
PRESENCE_TTL_MS = 24_000
# Whoever asks whether a process is ready waits no longer than this for the store.
PING_S = 2.0
# How the note of a revocation begins, in whosever box: see tokens_revoke.lua.
_REVOKED = pack(("revoked",))[1:]
EXIT_REFUSED = 78  # EX_CONFIG of sysexits.h
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE
# Hosts to listen on that stand for all of a machine's addresses, and so for none that others could use.
WILDCARDS = ("", "0.0.0.0", "[::]")  # noqa: S104 — recognised, not listened on


class Service(ABC):
    """One process of the engine. Subclasses add their servicers and loops."""

    name: ServiceName
    grpc_services: tuple[str, ...] = ()
    # Whether others look for it or put anything into a box of its own.
    is_sought = True

    def __init__(
        self,
        settings: ServiceSettings,
        listen: str,
        http_listen: str,
        connection_age_s: float | None = None,
    ) -> None:
        self.inc = mint_id()
        self.shard = Shard(settings.store_url, settings.store_tls)
        self.authentication = Authentication(self.shard.tokens, required=settings.require_tokens)
        keepalive = Keepalive(settings.keepalive_interval, settings.keepalive_timeout)
        self.server = Server(self.grpc_services, Guard(self.authentication), keepalive, connection_age_s)
        self._settings = settings
        self._told_load = 0
        self._told_at = 0.0
        self._listen = listen
        self._http_listen = http_listen
        self.observation = Observation(self.name, self.inc, self._refresh)
        self.shard.scripts.watcher = self.observation
        self._http = HttpDoor(
            build_app(self._readiness, self.observation.text, MetricsGuard(http_listen, settings.metrics_token))
        )
        self._leaving = asyncio.Event()

    @property
    def address(self) -> str:
        """host:port under which others reach this process."""
        host = self._listen.rpartition(":")[0]
        if host in WILDCARDS:
            host = socket.gethostname()
        return self._settings.advertise or f"{host}:{self.server.port}"

    @property
    def load(self) -> int:
        """Open streams, by which others choose among the replicas."""
        return 0

    @abstractmethod
    def loops(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs until the service stops."""

    async def readiness(self) -> Readiness:
        """Whether it takes work, the store and its own leaving apart. Raises StoreUnavailable."""
        return Readiness()

    async def measure(self, metrics: Metrics) -> None:
        """Makes current what is only looked up when metrics are asked for. Raises StoreUnavailable."""
        metrics.streams(self.name, self.load)

    async def leave(self) -> None:  # noqa: B027 — not every service has something to finish
        """Called once on the way out, before the server stops: no new work, finish what is there."""

    def stop(self) -> None:
        """Asks it to stop; the second time it stops at once."""
        if self._leaving.is_set():
            os._exit(1)
        self._leaving.set()

    async def run(self) -> None:
        """From start to stop. Raises StoreRefused, StoreUnavailable, BindRefused, TlsRefused."""
        try:
            self._settings.store_tls.check()
            await check_store(self.shard.redis, self._settings.store_url)
            await self.server.start(self._listen, self._settings.server_tls)
            if self.is_sought:
                await self._beat()
                # Calls are taken from before it was known whom to tell of revoked tokens.
                self.authentication.doubt()
            ports = {"grpc": self.server.port, "http": self._http.bind(self._http_listen)}
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(loop(), name=getattr(loop, "__qualname__", "loop")) for loop in self._all_loops()
                ]
                door = group.create_task(self._http.run(), name="http")
                # What start-up made stays: the collector need not look at it again and again.
                gc.collect()
                gc.freeze()
                await self.server.set_serving(True)
                _tell_ready(ports)
                _log.info("ready", address=self.address, incarnation=self.inc, **ports)
                await self._leaving.wait()
                _log.info("stopping")
                await self.server.set_serving(False)
                await self.leave()
                await self.server.stop(self._settings.shutdown_grace.total_seconds())
                self._http.stop()
                await door
                for task in tasks:
                    task.cancel()
            if self.is_sought:
                await self._say_goodbye()
        finally:
            await self.server.stop(0)
            await self.shard.close()
            await self.observation.stop()
        _log.info("stopped")

    async def on_box_lost(self) -> None:  # noqa: B027 — the scheduler has no box
        """Called when entries of this process's box may have been lost.

        Its presence had expired, or the connection broke while it was read. What they told must be
        asked for again.
        """

    async def box_lost(self) -> None:
        """Entries of this process's box may have been lost, among them notes of revoked tokens."""
        self.authentication.doubt()
        await self.on_box_lost()

    def _all_loops(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        loops = [self.observation.run, *self.loops()]
        if not self.is_sought:
            return loops
        return [self._presence, self.authentication.resolve_doubts, *loops]

    async def within_grace(self, finishing: Awaitable[None]) -> None:
        """Waits for what is to be finished on the way out, but not for ever."""
        try:
            async with asyncio.timeout(self._settings.shutdown_grace.total_seconds()):
                await finishing
        except TimeoutError:
            _log.warning("leaving with something unfinished: the store is away, or too slow")

    async def _beat(self) -> bool:
        """Returns whether the presence had expired; the reply that says so may itself have been lost."""
        load, now = self.load, asyncio.get_running_loop().time()
        changed = None if load == self._told_load else load
        fresh = await self.shard.processes.beat(self.name, self.inc, self.address, PRESENCE_TTL_MS, changed)
        silence_s, self._told_at = now - self._told_at, now
        self._told_load = load
        return fresh or silence_s * 1000 > PRESENCE_TTL_MS

    async def read_box(self, key: str, at_once: int, take: Callable[[list[bytes]], Awaitable[None]]) -> None:
        """Hands the entries of this process's box to `take`, for ever."""
        backoff = Backoff()
        broken = False
        while True:
            try:
                if broken:
                    await self._beat()  # the store is there again
                    await self.box_lost()
                    broken = False
                await take(self._heed(await self.shard.pop(key, at_once)))
                backoff.reset()
            except (StoreUnavailable, TimeoutError) as error:
                _log.warning("box not read, trying again", error=str(error))
                broken = True
                await backoff.wait()

    def _heed(self, entries: list[bytes]) -> list[bytes]:
        """Ends what was opened with tokens that the box tells are revoked. Returns the other entries."""
        others = [entry for entry in entries if not entry.startswith(_REVOKED, 1)]
        if len(others) < len(entries):
            for entry in entries:
                if entry.startswith(_REVOKED, 1):
                    self.authentication.revoked([token_id.decode() for token_id in unpack(entry)[1]])
        return others

    async def _presence(self) -> None:
        while True:
            await asyncio.sleep(PRESENCE_EVERY_S)
            await self._tell_presence()

    async def _tell_presence(self) -> None:
        backoff = Backoff()
        lost = False
        while True:
            try:
                lost = await self._beat() or lost
                if lost:
                    await self.box_lost()
            except StoreUnavailable as error:
                _log.warning("presence not told, trying again", error=str(error))
                await backoff.wait()
            else:
                return

    async def _readiness(self) -> Readiness:
        if self._leaving.is_set():
            return Readiness(["shutting down"])
        try:
            async with asyncio.timeout(PING_S):
                await self.shard.ping()
                return await self.readiness()
        except StoreUnavailable as error:
            return Readiness([str(error)])
        except TimeoutError:
            return Readiness([f"the store has not answered within {PING_S:g} s"])

    async def _refresh(self, metrics: Metrics) -> None:
        """What can't be read for now is told as it was last."""
        try:
            async with asyncio.timeout(PING_S):
                await self.measure(metrics)
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("metrics of the store not read", error=str(error))

    async def _say_goodbye(self) -> None:
        try:
            await self.shard.processes.leave(self.name, self.inc)
        except StoreUnavailable as error:
            _log.warning("leaving unseen: the store is away", error=str(error))


def _tell_ready(ports: dict[str, int]) -> None:
    """Whoever started us may wait on an inherited pipe, named by WINDLASS_READY_FD, for one line."""
    if fd := os.environ.get("WINDLASS_READY_FD"):
        with os.fdopen(int(fd), "w") as pipe:
            pipe.write(json.dumps(ports) + "\n")


S = TypeVar("S", bound=ServiceSettings)


def serve(name: ServiceName, settings_type: type[S], build: Callable[[S], Service]) -> int:
    """The whole of a service's process: settings, logs, signals, the service. Returns the exit code."""
    try:
        settings = read_settings(settings_type)
    except SettingsRefused as error:
        print(f"windlass {name}: {error}", file=sys.stderr)  # noqa: T201 — there is no log yet
        return EXIT_REFUSED
    configure_logs(name, settings)

    async def main() -> int:
        service = build(settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, service.stop)
        try:
            await service.run()
        except (StoreRefused, StoreUnavailable, BindRefused, TlsRefused) as error:
            _log.error("can't start", reason=str(error))
            return EXIT_REFUSED if isinstance(error, BindRefused | TlsRefused) else EXIT_UNAVAILABLE
        return 0

    return uvloop.run(main())
