"""Owns `windlass token`: through the api, or straight in the store."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from windlass import Windlass
from windlass.cli.output import ago, as_object, print_json, print_table
from windlass.engine import load
from windlass.exceptions import InvalidConfig, InvalidInput, WindlassError
from windlass.tokens import NewToken, Token, check_scopes, lifetime_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Creation:
    """What `windlass token create` was asked for."""

    name: str
    scopes: Sequence[str]
    expires: str
    file: Path | None
    if_missing: bool


class Desk(Protocol):
    """Where tokens are made and ended."""

    def create(self, name: str, scopes: Sequence[str], expires: str) -> NewToken:
        """Make one."""

    def knows(self, text: str, /) -> bool:
        """Tell whether a token of that text holds. Raises InvalidConfig where that can't be told."""

    def list(self) -> Sequence[Token]:
        """Give all of them."""

    def revoke(self, token_ids: Sequence[str]) -> dict[str, str]:
        """End some of them."""


def desk(namespace: str, *, store: bool) -> Desk:
    """Give the one that was asked for. Raises InvalidConfig, EngineNotInstalled."""
    if store:
        return _StoreDesk(namespace or "default")
    if namespace:
        raise InvalidConfig("--namespace goes with --store: through the api, a token's namespace is the only one")
    return _ApiDesk()


def create(desk: Desk, asked: Creation, *, as_json: bool) -> None:
    """Make a token and print it, or write it to a file."""
    scopes = [scope for word in asked.scopes for scope in word.split(",") if scope]
    if not scopes:
        raise InvalidInput("--scope: at least one of submit, read, work, schedule and admin is needed")
    check_scopes(scopes)
    if asked.if_missing and asked.file is None:
        raise InvalidConfig("--if-missing goes with --file: it looks there")
    if asked.if_missing and asked.file is not None and _holds(desk, asked.file):
        print(f"{asked.file} has a token that holds: nothing was made", file=sys.stderr)
        return
    made = desk.create(asked.name, scopes, asked.expires)
    if asked.file is not None:
        _write(asked.file, made.secret)
    if as_json:
        shown = as_object(made.token)
        print_json(shown if asked.file is not None else {**shown, "secret": made.secret})
    elif asked.file is not None:
        print(f"{made.token.id} written to {asked.file}", file=sys.stderr)
    else:
        print(f"{made.token.id}, shown only now:", file=sys.stderr)
        print(made.secret)


def show(desk: Desk, *, as_json: bool) -> None:
    """Print all tokens."""
    found = desk.list()
    if as_json:
        print_json([as_object(token) for token in found])
        return
    rows = (
        (
            token.id,
            token.name,
            ", ".join(token.scopes),
            ago(token.created_at),
            token.expires_at.isoformat(timespec="seconds") if token.expires_at else "never",
            ago(token.revoked_at),
        )
        for token in found
    )
    print_table(
        ("id", "name", "scopes", "created", "expires", "revoked"),
        rows,
        nothing="no tokens; make one: windlass token create --scope submit --scope read",
    )


def revoke(desk: Desk, token_ids: Sequence[str], *, as_json: bool) -> None:
    """End tokens, and say what became of each. Raises InvalidInput where one is unknown, after the others."""
    outcomes = desk.revoke(token_ids)
    if as_json:
        print_json(outcomes)
    else:
        said = {"revoked": "revoked", "already": "had been revoked before", "unknown": "unknown"}
        for token_id, outcome in outcomes.items():
            print(f"{token_id}  {said[outcome]}")
    if unknown := [token_id for token_id, outcome in outcomes.items() if outcome == "unknown"]:
        raise InvalidInput(f"no such token: {', '.join(unknown)}")


class _ApiDesk:
    """Through the api, with the caller's own token."""

    def create(self, name: str, scopes: Sequence[str], expires: str) -> NewToken:
        with Windlass() as app:
            return app.tokens.create(name, scopes=scopes, expires=expires or None)

    def knows(self, _text: str) -> bool:
        raise InvalidConfig("--if-missing goes with --store: the api tells nobody what it makes of another's token")

    def list(self) -> Sequence[Token]:
        with Windlass() as app:
            return app.tokens.list()

    def revoke(self, token_ids: Sequence[str]) -> dict[str, str]:
        with Windlass() as app:
            return {**app.tokens.revoke(*token_ids)}


class _StoreDesk:
    """Straight in the store, by the engine that is installed here."""

    def __init__(self, namespace: str) -> None:
        kind = load("tokens")
        self._refused: type[Exception] = kind.refused
        with self._errors():
            self._desk: Any = kind(namespace)

    def create(self, name: str, scopes: Sequence[str], expires: str) -> NewToken:
        ttl_ms = lifetime_ms(expires or None)
        with self._errors():
            token, secret = self._desk.create(name, scopes, ttl_ms)
        return NewToken(Token.from_proto(token), secret)

    def knows(self, text: str) -> bool:
        with self._errors():
            return bool(self._desk.knows(text))

    def list(self) -> Sequence[Token]:
        with self._errors():
            return [Token.from_proto(token) for token in self._desk.list()]

    def revoke(self, token_ids: Sequence[str]) -> dict[str, str]:
        with self._errors():
            return dict(zip(token_ids, self._desk.revoke(token_ids), strict=True))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._refused as error:
            raise WindlassError(str(error)) from None


def _holds(desk: Desk, file: Path) -> bool:
    try:
        text = file.read_text("utf-8").strip()
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise InvalidConfig(f"--file {file}: {error.strerror}") from None
    return desk.knows(text)


def _write(file: Path, secret: str) -> None:
    """Put it there at once, whole, for nobody else to read."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secret + "\n")
        beside.replace(file)
    except OSError as error:
        raise InvalidConfig(f"--file {file}: {error.strerror}") from None
