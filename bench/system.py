"""Owns what a system under measurement is: how it is started, questioned, weighed and ended.

Imported in the peers' venvs too, for the declarations: standard library only at the top.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.processes import Child
    from bench.store import Store


@dataclass(frozen=True)
class System:
    """One column of the table.

    `module` in bench.systems has `run_worker(**target)` and `open_client(**target)`, called in
    processes of their own with the store's url and `options`.
    """

    key: str
    title: str
    module: str
    # Pinned; none: the interpreter that runs the benchmark.
    requirements: tuple[str, ...] = ()
    # Distributions whose versions the table tells.
    shown: tuple[str, ...] = ()
    worker_processes: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    # About ten times a peer's speed: measured with more tasks.
    fast: bool = False
    # Beyond what every system has: "batch".
    abilities: frozenset[str] = frozenset()
    # Starts what stands between client and worker; returns pids by role and what client and
    # worker are told in place of the store's url.
    services: Callable[[Store, ExitStack, Path], tuple[dict[str, list[int]], dict[str, Any]]] | None = None
    # A system that is measured only when asked for or as a bound.
    bound: bool = False

    def python(self) -> Path:
        """The interpreter that has what it requires."""
        from bench.venvs import python_with

        return python_with(self.requirements) if self.requirements else Path(sys.executable)


class Running:
    """A system that is up, with one client process and its workers; a context manager."""

    def __init__(self, system: System, folder: Path, *, workers: bool = True) -> None:
        from bench.store import Store

        self.system = system
        self._folder = folder
        self._stack = ExitStack()
        try:
            self.store = self._stack.enter_context(Store())
            target: dict[str, Any] = {"url": self.store.url, **system.options}
            self.pids: dict[str, list[int]] = {"store": [self.store.pid], "worker": []}
            if system.services is not None:
                pids, told = system.services(self.store, self._stack, folder)
                self.pids.update(pids)
                target = {**system.options, **told}
            self.target = target
            self._workers: list[Child] = []
            if workers:
                self.start_workers()
            self._client = self.start("client", self.target)
            self._client.listen(30.0)
        except BaseException:
            self._stack.close()
            raise

    def start(self, role: str, target: Mapping[str, Any]) -> Child:
        """A process of that role, ended with the system."""
        from bench.processes import start_child

        child = start_child(role, self.system.module, target, self._folder, self._stack, self.system.python())
        self.pids.setdefault(role, []).append(child.pid)
        return child

    def start_workers(self) -> None:
        """As many as the system says."""
        self._workers += [self.start("worker", self.target) for _ in range(self.system.worker_processes)]

    def end_workers(self) -> None:
        """End them all."""
        for child in self._workers:
            child.end()
        self._workers.clear()
        self.pids["worker"] = []

    def ask(self, question: str, *, patience_seconds: float, **details: Any) -> dict[str, Any]:
        """Have the client do one thing; its answer."""
        return self._client.ask({"ask": question, **details}, patience_seconds)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time so far by role."""
        from bench.accounting import cpu_seconds

        return {role: cpu_seconds(pids) for role, pids in self.pids.items()}

    def all_pids(self) -> list[int]:
        """Of every process started, not of what is below them."""
        return [pid for pids in self.pids.values() for pid in pids]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
