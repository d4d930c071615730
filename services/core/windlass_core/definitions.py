"""Owns the definitions that a process has at hand.

Versions never change, so they are kept for good; which version is current is asked again when the
epoch of the definitions moves on.
"""

from collections.abc import Sequence

from windlass.v1 import workflow_pb2
from windlass_core.domain.cron_spec import CheckedCron, check_cron
from windlass_core.domain.definition import Definition, check_definition
from windlass_core.domain.errors import InvalidField, StoreFull
from windlass_core.store.definitions import Definitions


class DefinitionCache:
    """Definitions by name and version."""

    def __init__(self, stored: Definitions) -> None:
        self._stored = stored
        self._epoch = 0
        self._current: dict[tuple[str, str], Definition] = {}
        self._versions: dict[tuple[str, str, str], Definition] = {}

    def note_epoch(self, epoch: int) -> None:
        """Takes note of the epoch that a script told: at a new one, what is current is asked again."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._current.clear()

    def at_hand(self, namespace: str, name: str) -> Definition | None:
        """The current version, where it is known without asking the store."""
        return self._current.get((namespace, name))

    async def current(self, namespace: str, name: str) -> Definition | None:
        """The current version, None where nobody has registered it. Raises StoreUnavailable."""
        known = self._current.get((namespace, name))
        if known is not None:
            return known
        epoch = self._epoch
        stored = await self._stored.current(namespace, name)
        if stored is None:
            return None
        known = _parse(stored.body)
        if epoch == self._epoch:  # else it may have been replaced while it was on its way
            self._current[namespace, name] = known
        return known

    async def version(self, namespace: str, name: str, version: str) -> Definition | None:
        """One version, None where there is none. Raises StoreUnavailable."""
        key = (namespace, name, version)
        known = self._versions.get(key)
        if known is None and (stored := await self._stored.version(namespace, name, version)):
            known = self._versions[key] = _parse(stored.body)
        return known

    async def register(
        self, namespace: str, messages: Sequence[workflow_pb2.WorkflowDefinition], field: str
    ) -> list[Definition]:
        """Checks all, then stores all. Raises InvalidField, StoreUnavailable, StoreFull."""
        definitions = [check_definition(m, f"{field}[{i}]") for i, m in enumerate(messages)]
        names: set[str] = set()
        for i, definition in enumerate(definitions):
            if definition.name in names:
                path = f"{field}[{i}].name"
                raise InvalidField(f"{path}: {definition.name!r} stands here twice", path)
            names.add(definition.name)
        try:
            epoch = await self._stored.register(namespace, [_to_store(namespace, d) for d in definitions])
        except StoreFull:
            # A worker that comes back brings nothing new: it has to get in, or nothing ends any more.
            if not await self._are_current(namespace, definitions):
                raise
            return definitions
        self.note_epoch(epoch)
        self._current.update({(namespace, d.name): d for d in definitions})
        return definitions

    async def _are_current(self, namespace: str, definitions: list[Definition]) -> bool:
        for definition in definitions:
            stored = await self._stored.current(namespace, definition.name)
            if stored is None or stored.version != definition.version:
                return False
        return True


def _to_store(namespace: str, definition: Definition) -> tuple[str, str, bytes, list[CheckedCron]]:
    crons = [check_cron(spec, namespace, "cron", declared=True) for spec in definition.crons]
    return definition.name, definition.version, definition.body, crons


def _parse(body: bytes) -> Definition:
    return check_definition(workflow_pb2.WorkflowDefinition.FromString(body), "workflow")
