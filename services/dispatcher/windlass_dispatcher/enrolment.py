"""Owns a worker's way in: its definitions registered, its group named, its leases reconciled; and its other labels."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from windlass.v1 import dispatch_pb2, worker_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import ProtocolError
from windlass_core.domain.placement import label_entries
from windlass_core.store.workers import Enrolled, Enrolment, Workers

_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


def group_name(
    namespace: str, tasks: Sequence[str], queues: Sequence[str], labels: Mapping[str, str] = _NO_LABELS
) -> str:
    """One name for all workers that can take the same runs: their group in the default pool."""
    content = "\n".join((namespace, *tasks, "", *queues))
    if labels:
        content += "\n" + json.dumps(sorted(labels.items()))
    return f"{namespace}|{hashlib.blake2b(content.encode(), digest_size=8).hexdigest()}"


async def enrol(
    hello: dispatch_pb2.Hello,
    *,
    namespace: str,
    session_id: str,
    dispatcher: str,
    ttl_ms: int,
    definitions: DefinitionCache,
    workers: Workers,
) -> tuple[Enrolment, Enrolled]:
    """Makes what the worker says true. Raises InvalidField, ProtocolError, StoreUnavailable."""
    registered = await definitions.register(namespace, hello.workflows, "hello.workflows")
    tasks = sorted(definition.name for definition in registered)
    queues = sorted(set(hello.queues))
    info = worker_pb2.Worker(
        worker_id=hello.worker_id,
        name=hello.name,
        workflow_names=tasks,
        queues=queues,
        labels=hello.labels,
        slots=hello.slots,
        slot_pools=[worker_pb2.SlotPool(name=name, slots=slots) for name, slots in sorted(hello.slot_pools.items())],
        sdk=hello.sdk[:200],
        host=hello.host[:200],
    )
    enrolment = Enrolment(
        namespace=namespace,
        worker_id=hello.worker_id,
        session_id=session_id,
        dispatcher=dispatcher,
        slots=hello.slots,
        group=group_name(namespace, tasks, queues, hello.labels),
        tasks=tasks,
        queues=queues,
        info=info.SerializeToString(),
        held=list(hello.held_lease_ids),
        draining=hello.draining,
        ttl_ms=ttl_ms,
        labels=label_entries(hello.labels),
        pools=dict(hello.slot_pools),
    )
    enrolled = await workers.hello(enrolment)
    if enrolled is None:
        raise worker_id_taken()
    return replace(enrolment, held=()), enrolled


async def relabel(enrolment: Enrolment, labels: Mapping[str, str], workers: Workers) -> Enrolment:
    """Makes true that the worker has these labels now, and gives what it says of itself by that."""
    info = worker_pb2.Worker.FromString(enrolment.info)
    info.labels.clear()
    info.labels.update(labels)
    relabelled = replace(
        enrolment,
        group=group_name(enrolment.namespace, enrolment.tasks, enrolment.queues, labels),
        info=info.SerializeToString(),
        labels=label_entries(labels),
    )
    await workers.relabel(relabelled)
    return relabelled


def worker_id_taken() -> ProtocolError:
    """Why a worker of another namespace is refused: the same whether it is connected or was."""
    return ProtocolError("hello.worker_id: belongs to another worker; mint a random one")
