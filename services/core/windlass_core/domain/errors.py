"""Owns the errors that the engine tells its callers.

    EngineError
    ├── InvalidField        a field holds something that it must not
    ├── TooLarge            over a limit in bytes
    ├── UnknownWorkflow     nobody has registered it
    ├── UnknownRun          the namespace has no such run
    ├── UnknownWorker       the namespace has no such worker
    ├── RunIdTaken          the id belongs to a run with another content
    ├── AlreadyExists       a name or a key belongs to something else
    ├── NotFound            the namespace has none of that name or id
    ├── ProtocolError       a peer broke the protocol
    ├── SessionReplaced     the worker's session is no longer this one
    ├── SlowReader          a peer does not read what it is sent
    ├── TooMany             this replica has as many as it may have
    ├── NoDispatcher        none is alive
    ├── ShuttingDown        this replica is going away
    ├── StoreUnavailable    the store can't be reached for now
    ├── StoreFull           the store's memory is full
    ├── Unauthenticated     what came with the call is no token of this engine
    │   ├── TokenMissing    nothing came
    │   ├── TokenExpired    its time is over
    │   └── TokenRevoked    somebody has ended it
    └── ScopeMissing        the token does not allow this

Which gRPC status each one becomes is one table in `rpc/status.py`.
"""

from dataclasses import dataclass

from typing_extensions import override


@dataclass(eq=False)
class EngineError(Exception):
    """Base of all. `message` is for people and says what was expected."""

    message: str

    @override
    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class InvalidField(EngineError):
    """`field` is a path into the request, like `runs[3].spec.input_json`."""

    field: str


@dataclass(eq=False)
class TooLarge(InvalidField):
    """`limit` in bytes."""

    limit: int


class UnknownWorkflow(InvalidField):
    """No definition of that name in the namespace."""


class UnknownRun(EngineError):
    """No run of that id in the namespace."""


class UnknownWorker(EngineError):
    """No worker of that id in the namespace, or its session has expired."""


class RunIdTaken(InvalidField):
    """The store has a run of this id with another content."""


class AlreadyExists(InvalidField):
    """A name, or an idempotency key, belongs to something with another content."""


class NotFound(InvalidField):
    """Nothing of that name or id in the namespace."""


class ProtocolError(EngineError):
    """A message that may not come here, or not like this."""


class SessionReplaced(EngineError):
    """A newer connection of the same worker took over, or the session has expired."""


class SlowReader(EngineError):
    """A peer leaves unread what it is sent: it connects again, and asks for what it missed."""


@dataclass(eq=False)
class TooMany(EngineError):
    """There are as many as `limit` already: another replica may have room, or this one later."""

    limit: int
    retry_after_ms: int = 1_000


class NoDispatcher(EngineError):
    """No dispatcher is alive."""


class ShuttingDown(EngineError):
    """This replica is going away: use another."""


@dataclass(eq=False)
class StoreUnavailable(EngineError):
    """The store can't be reached. `retry_after_ms` is when trying again makes sense."""

    retry_after_ms: int = 1_000


class StoreFull(StoreUnavailable):
    """The store takes no new work; what was accepted goes on."""


class Unauthenticated(EngineError):
    """What came with the call is no token of this engine.

    Neither this nor what is below it says whether something is there that the caller may not see.
    """


class TokenMissing(Unauthenticated):
    """No token came with the call."""


class TokenExpired(Unauthenticated):
    """The token's time is over."""


class TokenRevoked(Unauthenticated):
    """Somebody has ended the token."""


@dataclass(eq=False)
class ScopeMissing(EngineError):
    """Any one of the `scopes` would do, and the token has none of them."""

    scopes: tuple[str, ...]
