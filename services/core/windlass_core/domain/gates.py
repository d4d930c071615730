"""Owns the gates that runs have to pass besides finding a slot: concurrency keys and rate limits.

What a definition may ask for, and which gates that makes for one run. What a gate does is the store's.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from windlass.v1 import workflow_pb2
from windlass_core.domain.errors import InvalidField, NotFound
from windlass_core.domain.expression import Expression, Scope, check_expression
from windlass_core.domain.limits import MAX_DURATION_MS
from windlass_core.domain.names import check_name

MAX_GATES_OF_A_KIND: Final = 10
MAX_PERMITS: Final = 1_000_000
MAX_UNITS: Final = 1_000_000_000_000
MIN_WINDOW_MS: Final = 1_000

# Longer values stand in keys as their digests.
_MAX_VALUE_BYTES: Final = 100

#: As the scripts read it: `['c', key, permits, strategy, level]` or `['r', key, units, limit, window ms]`.
Gate: TypeAlias = list[str | int]
Level: TypeAlias = Literal["w", "t"]

_STRATEGIES: Final[dict[int, str]] = {
    workflow_pb2.CONCURRENCY_STRATEGY_UNSPECIFIED: "rr",
    workflow_pb2.CONCURRENCY_STRATEGY_GROUP_ROUND_ROBIN: "rr",
    workflow_pb2.CONCURRENCY_STRATEGY_CANCEL_IN_PROGRESS: "cip",
    workflow_pb2.CONCURRENCY_STRATEGY_CANCEL_NEWEST: "cn",
}


@dataclass(frozen=True, slots=True)
class KeyedPermits:
    """So many at a time for each value of the key. `place` is the definition's own name for it."""

    place: str
    key: Expression
    permits: int
    strategy: str
    level: Level

    def gate(self, prefix: str, scope: Scope, field: str) -> Gate:
        """What the run has to pass; `prefix` is the namespace's and the workflow's."""
        value = _short(self.key.text_of(scope, field))
        return ["c", f"{prefix}|{self.place}|{value}", self.permits, self.strategy, self.level]


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of a limit: a named one, or one that the run's own values name and bound."""

    name: str | Expression
    units: int | Expression
    limit: int | Expression
    window_ms: int

    def gate(self, namespace: str, scope: Scope, limits: Mapping[str, int], field: str) -> Gate | None:
        """What the run has to pass, None where it takes no units. `limits` are the named ones'."""
        units = self.units.whole_of(scope, field) if isinstance(self.units, Expression) else self.units
        limit: int
        if isinstance(self.name, Expression):
            # No name that was put begins like this.
            name = f"={_short(self.name.text_of(scope, field))}"
            limit = told = self.limit.whole_of(scope, field) if isinstance(self.limit, Expression) else self.limit
            check_limit(limit, field)
        else:
            name, limit = self.name, 0
            told = _put(self.name, limits, field)
        if units > told:
            raise InvalidField(
                f"{field}: an attempt would take {units} units of the rate limit {name.removeprefix('=')!r}, "
                f"which has {told} in all; expected at most so many",
                field,
            )
        return ["r", f"{namespace}|{name}", units, limit, self.window_ms] if units else None


@dataclass(frozen=True, slots=True)
class Gates:
    """All that runs of one definition have to pass. `named_limits` are those that somebody has to have put."""

    workflow: str
    permits: Sequence[KeyedPermits]
    rates: Sequence[Rate]
    named_limits: Sequence[str]

    def of_run(self, namespace: str, scope: Scope, limits: Mapping[str, int], field: str) -> list[Gate]:
        """The gates of one run. Raises InvalidField, and NotFound for a limit that `limits` lacks."""
        prefix = f"{namespace}|{self.workflow}"
        gates = [each.gate(prefix, scope, field) for each in self.permits]
        for rate in self.rates:
            gate = rate.gate(namespace, scope, limits, field)
            if gate is None:
                continue
            if any(gate[:2] == other[:2] for other in gates):
                raise InvalidField(
                    f"{field}: two rate limits of {self.workflow!r} come to one name, {_name_of(gate)!r}; "
                    "expected different ones: put what they are of before their values, as in 'user:' + input.user",
                    field,
                )
            gates.append(gate)
        return gates


def check_gates(
    task: workflow_pb2.TaskDefinition, field: str, workflow: str, place: str, kept: Sequence[KeyedPermits] = ()
) -> Gates | None:
    """What a task of a workflow asks for, None for nothing. Raises InvalidField below `field`.

    `place` tells its keys from those of the workflow's other tasks; `kept` is what its runs keep to their ends.
    """
    if not (kept or task.concurrency or task.rate_limits):
        return None
    rates = _check_rates(task.rate_limits, f"{field}.rate_limits", workflow)
    return Gates(
        workflow,
        [*kept, *check_permits(task.concurrency, "t", f"{field}.concurrency", workflow, place)],
        rates,
        [rate.name for rate in rates if isinstance(rate.name, str)],
    )


def check_permits(
    asked: Sequence[workflow_pb2.Concurrency], level: Level, field: str, workflow: str, place: str
) -> list[KeyedPermits]:
    """Permits as a workflow or a task asks for them. Raises InvalidField below `field`."""
    _check_count(asked, field)
    checked = []
    for i, each in enumerate(asked):
        path = f"{field}[{i}]"
        key = check_expression(each.expression, f"{path}.expression", f"a concurrency key of {workflow!r}")
        if not 1 <= each.max_runs <= MAX_PERMITS:
            raise InvalidField(
                f"{path}.max_runs: expected 1 to {MAX_PERMITS:,}, got {each.max_runs}", f"{path}.max_runs"
            )
        if each.strategy not in _STRATEGIES:
            raise InvalidField(
                f"{path}.strategy: expected a ConcurrencyStrategy, got {each.strategy}", f"{path}.strategy"
            )
        checked.append(KeyedPermits(f"{place}{i}", key, each.max_runs, _STRATEGIES[each.strategy], level))
    return checked


def _check_rates(asked: Sequence[workflow_pb2.RateLimit], field: str, workflow: str) -> list[Rate]:
    _check_count(asked, field)
    checked = [_check_rate(each, f"{field}[{i}]", workflow) for i, each in enumerate(asked)]
    names = [rate.name for rate in checked]
    for i, name in enumerate(names):
        if isinstance(name, str) and name in names[:i]:
            path = f"{field}[{i}].static_key"
            raise InvalidField(f"{path}: {name!r} stands here twice; add their units up", path)
    return checked


def _check_count(asked: Sequence[object], field: str) -> None:
    if len(asked) > MAX_GATES_OF_A_KIND:
        raise InvalidField(f"{field}: expected at most {MAX_GATES_OF_A_KIND}, got {len(asked)}", field)


def _check_rate(rate: workflow_pb2.RateLimit, field: str, workflow: str) -> Rate:
    if bool(rate.static_key) == bool(rate.dynamic_key):
        raise InvalidField(
            f"{field}.static_key: expected either the name of a limit or, in dynamic_key, an expression that "
            f"gives one, got {'both' if rate.static_key else 'neither'}",
            f"{field}.static_key",
        )
    for number, expression in (("units", "units_expression"), ("limit", "limit_expression")):
        if getattr(rate, number) and getattr(rate, expression):
            raise InvalidField(f"{field}.{expression}: expected none beside {number}", f"{field}.{expression}")
    units: int | Expression = rate.units or 1
    if rate.units_expression:
        units = check_expression(
            rate.units_expression, f"{field}.units_expression", f"the units of a rate limit of {workflow!r}"
        )
    if rate.static_key:
        for name in ("limit", "limit_expression", "window_ms"):
            if getattr(rate, name):
                raise InvalidField(
                    f"{field}.{name}: expected none: the limit {rate.static_key[:60]!r} has its own, as it was put",
                    f"{field}.{name}",
                )
        return Rate(check_name(rate.static_key, f"{field}.static_key"), units, 0, 0)
    key = check_expression(rate.dynamic_key, f"{field}.dynamic_key", f"the name of a rate limit of {workflow!r}")
    limit: int | Expression = rate.limit
    if rate.limit_expression:
        limit = check_expression(
            rate.limit_expression, f"{field}.limit_expression", f"the limit of a rate limit of {workflow!r}"
        )
    else:
        check_limit(rate.limit, f"{field}.limit")
        if isinstance(units, int) and units > rate.limit:
            raise InvalidField(
                f"{field}.units: expected at most the limit, {rate.limit}, got {units}", f"{field}.units"
            )
    return Rate(key, units, limit, check_window(rate.window_ms, f"{field}.window_ms"))


def check_limit(limit: int, field: str) -> int:
    """Units per window, from 1 up. Raises InvalidField."""
    if not 1 <= limit <= MAX_UNITS:
        raise InvalidField(f"{field}: expected a limit of 1 to {MAX_UNITS:,} units, got {limit}", field)
    return limit


def check_window(window_ms: int, field: str) -> int:
    """The length of a window in milliseconds, a second to 366 days. Raises InvalidField."""
    if not MIN_WINDOW_MS <= window_ms <= MAX_DURATION_MS:
        raise InvalidField(
            f"{field}: expected {MIN_WINDOW_MS} (a second) to {MAX_DURATION_MS} (366 days), got {window_ms} ms", field
        )
    return window_ms


def _put(name: str, limits: Mapping[str, int], field: str) -> int:
    if name not in limits:
        raise NotFound(
            f"{field}: nobody has put the rate limit {name!r}; put it with "
            f"`windlass rate-limits put {name} LIMIT DURATION` or app.rate_limits.put({name!r}, limit, duration)",
            field,
        )
    return limits[name]


def _name_of(gate: Gate) -> str:
    return str(gate[1]).split("|", 1)[1].removeprefix("=")


def _short(value: str) -> str:
    encoded = value.encode(errors="surrogatepass")
    if len(encoded) <= _MAX_VALUE_BYTES:
        return value
    return f"#{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"
