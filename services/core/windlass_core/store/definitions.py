"""Owns the stored definitions: registering them, and reading versions, which never change."""

from collections.abc import Sequence
from dataclasses import dataclass

from windlass_core.domain.cron_spec import CheckedCron
from windlass_core.domain.names import flow_task
from windlass_core.store.keys import Keys
from windlass_core.store.lanes import depths
from windlass_core.store.reader import Reader
from windlass_core.store.scripts import Scripts, unpack


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """A version of a workflow. `body` is a serialized WorkflowDefinition."""

    name: str
    version: str
    registered_ms: int
    body: bytes


class Definitions:
    """The definitions of one shard. Every method raises StoreUnavailable, `register` StoreFull."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def register(
        self, namespace: str, definitions: Sequence[tuple[str, str, bytes, Sequence[CheckedCron]]]
    ) -> int:
        """Makes each (name, version, body) current, with its crons. Returns the definitions' epoch afterwards."""
        epoch: int = await self._scripts.call("workflows_register", (namespace, definitions))
        return epoch

    async def current(self, namespace: str, name: str) -> StoredDefinition | None:
        """The current version of a workflow, None where nobody has registered it."""
        version = await self._reader.one("HGET", self._keys.of("definitions", ns=namespace), name)
        return await self.version(namespace, name, version.decode()) if version else None

    async def version(self, namespace: str, name: str, version: str) -> StoredDefinition | None:
        """One version of a workflow, None where there is none."""
        key = self._keys.of("versions", ns=namespace)
        found = await self._reader.one("HGET", key, f"{name}@{version}")
        if not found:
            return None
        registered, body = unpack(found)
        return StoredDefinition(name, version, registered, body)

    async def names(self, namespace: str) -> list[str]:
        """All workflows of the namespace, sorted."""
        names = await self._reader.one("HKEYS", self._keys.of("definitions", ns=namespace))
        return sorted(name.decode() for name in names)

    async def queued(self, namespace: str, name: str) -> int:
        """How many runs of a workflow are ready and wait, over all queues and levels."""
        flows = await self._reader.one("HKEYS", self._keys.of("flows", ns=namespace))
        mine = [f.decode() for f in flows if flow_task(f.decode()) == name]
        return sum(await depths(self._reader, self._keys, mine))
