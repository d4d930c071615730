"""Owns the names of all keys. No other Python module spells one; `lua/keys.lua` is generated from here.

Every key begins with its shard's prefix, which holds the hash tag: a shard's keys live in one slot
of a cluster, and one script can touch them all. `python -m windlass_core.store.keys` writes the Lua.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass_core.domain import limits
from windlass_core.domain.phase import Phase


@dataclass(frozen=True, slots=True)
class Family:
    """Keys of one kind. `pattern` has the parts in braces, `lives` says when the key goes away."""

    name: str
    pattern: str
    type: str
    holds: str
    lives: str


# Others than those that were put go with their window.
_RATE_LIVES = "until deleted, or its window's end"

FAMILIES = (
    # Runs
    Family("run", "r:{run}", "hash", "a run and its task run; fields below", "until retention"),
    Family("failures", "e:{run}", "list", "its failed attempts, msgpack", "with the run"),
    Family("waiters", "wt:{run}", "set", "further apis that wait for its end", "until it ends"),
    Family("followers", "fw:{run}", "set", "apis whose clients follow it", "while any, at most with the run"),
    Family("children", "k:{run}", "set", "runs that it spawned", "with the run"),
    Family("log", "log:{run}", "list", "its log lines, msgpack", "with the run"),
    Family("stream", "str:{run}", "list", "chunks of its stream, msgpack", "with the run"),
    Family("runs_by_time", "ix:{ns}", "zset", "run → accepted, ms", "runs' retention"),
    Family("failed_by_time", "fx:{ns}", "zset", "failed run → ended, ms", "runs' retention"),
    Family("scheduled", "sx:{ns}", "zset", "scheduled run that is still to come → its time, ms", "until its time"),
    Family("idempotency", "ik:{key}", "string", "run and digest of its content", "a window, or with its run"),
    Family("done", "done", "list", "ended runs as `ms run`, oldest first", "runs' retention"),
    Family("hooks_due", "hk", "zset", "ended run whose hook has yet to be started → ended, ms", "until it is"),
    # Queues
    Family("lane", "q:{lane}", "zset", "ready run → ready since, ms", "while not empty"),
    Family("lane_meta", "m:{lane}", "hash", "at: `ring`, or the gate it is parked at; g: gates", "with its lane"),
    Family("ring", "ring:{flow}/{level}", "list", "the flow's open lanes, rotated", "while any"),
    Family("flow_lanes", "ln:{flow}", "set", "the flow's lanes that have gates", "while any"),
    Family("heads", "H:{group}/{level}", "zset", "flow → ready time of its head, ms", "while any"),
    Family("flows", "fl:{ns}", "hash", "flow → how many runs of it are kept", "runs' retention"),
    Family("flow_groups", "fg:{flow}", "set", "groups that serve the flow", "with the flow, or the groups"),
    # Gates
    Family("parked", "gw:{gate}", "zset", "lane parked there → since, ms", "while any"),
    Family("permits", "c:{key}", "zset", "run that holds a permit of the key → since, ms", "while any"),
    Family("contenders", "cu:{key}", "zset", "run that is queued or holds one → ready since, ms", "while any"),
    Family("max_runs", "cm:{ns}", "hash", "ns|workflow|place of a key → its newest run's max_runs", "always"),
    Family("rate", "rl:{key}", "hash", "limit and window, ms, of one that was put; start; used", _RATE_LIVES),
    Family("rates", "rls:{ns}", "set", "names of the limits that were put", "while any"),
    Family("paused", "pz:{ns}", "set", "gates of paused workflows and queues", "until resumed"),
    Family("demand", "de:{flow}", "string", "what it asks of a worker, msgpack", "with the flow, where it has any"),
    # Workers
    Family("worker", "w:{worker}", "hash", "who it is; fields below", "with its session"),
    Family("workers", "ws:{ns}", "set", "workers of the namespace", "with the workers"),
    Family("attempts", "att:{worker}", "hash", "lease held → run", "while any"),
    Family(
        "slots",
        "s:{worker}:{pool}",
        "set",
        "leases that occupy slots, of those held",
        "while any",
    ),
    Family("sessions", "sess", "zset", "worker → its session's expiry, ms", "with the sessions"),
    Family("group", "g:{group}", "hash", "fields below", "with its workers"),
    Family("groups", "gs:{ns}", "set", "groups of the namespace", "with the groups"),
    Family("group_tasks", "gt:{group}", "set", "tasks that its workers can run", "with the group"),
    Family("group_flows", "gf:{group}", "set", "flows that it serves", "with the flows, or the group"),
    Family("group_workers", "gm:{group}", "set", "its workers", "with the group"),
    Family("free", "free:{group}", "zset", "worker → free slots, over 0 only", "while any"),
    # Scheduling
    Family("dirty", "dirty", "set", "groups with a possible match", "until matched"),
    Family("wake", "wake", "list", "one element while the scheduler has a reason", "until popped"),
    Family("timers", "T", "zset", "`kind:…` → due, ms; kinds below", "until due"),
    Family("owner", "own", "hash", "scheduler, until, beat, hold", "always"),
    # Crons
    Family("cron", "cr:{cron}", "hash", "a cron; fields below", "until deleted"),
    Family("crons_by_name", "crn:{ns}", "zset", "`workflow LF name LF cron`, all of score 0", "with the crons"),
    Family(
        "crons_declared", "crw:{ns}/{workflow}", "set", "crons that the current definition declares", "with the crons"
    ),
    Family("crons_due", "crd", "zset", "cron → to be looked at, ms; not those that rest", "with the crons"),
    # Processes
    Family("presence", "pres:{service}", "zset", "incarnation → expiry, ms", "with the processes"),
    Family("addresses", "addr:{service}", "hash", "incarnation → address", "with the processes"),
    Family("loads", "load:{service}", "hash", "incarnation → streams open", "with the processes"),
    Family("inbox", "inbox:{inc}", "list", "what a dispatcher is to deliver, msgpack", "with it"),
    Family("outbox", "out:{inc}", "list", "what an api's clients wait for, msgpack", "with it"),
    # Definitions
    Family("definitions", "d:{ns}", "hash", "workflow name → current version", "always"),
    Family("versions", "dv:{ns}", "hash", "name@version → registered ms, definition", "always"),
    Family("namespaces", "nss", "set", "namespaces that have definitions", "always"),
    Family("epoch", "epoch", "string", "counts changes of definitions", "always"),
    Family("budget", "rb:{workflow}", "hash", "retries left: k tokens, as of t, ms", "half an hour from its last use"),
    # Tokens
    Family("token", "tok:{token}", "hash", "a token; fields below", "until 30 days after its end"),
    Family("tokens", "toks:{ns}", "zset", "token → created, ms", "with the tokens, or at the next one's"),
)

# Fields of a run's hash; short, because there are millions of them.
RUN_FIELDS = {
    "b": "the RunSpec, as the caller sent it",
    "f": "flow",
    "p": "place in the flow: priority level, 1 to 4, and for a run with gates their digest",
    "g": "its gates, msgpack, as they were submitted",
    "v": "version of the definition",
    "c": "accepted, ms",
    "t": "ready since, ms, where it isn't c",
    "ph": "phase code",
    "n": "attempt number",
    "L": "lease of the last attempt",
    "wk": "worker of the last attempt",
    "s": "last attempt given to the worker, ms",
    "d": "ended, ms",
    "o": "output, JSON",
    "w": "incarnation of the api that waits for the end",
    "ww": "set where further apis wait",
    "fw": "set where apis follow it",
    "x": "execution timeout, ms",
    "xs": "set where a start timer is running",
    "at": "time that it was scheduled for, ms",
    "cx": "cancelling was asked for: the reason",
    "pa": "parent run",
    "rp": "how often it was replayed",
    "ik": "its idempotency key",
    "ic": "digest of its content, where that key counts until its end",
    "cr": "crashes charged",
    "lo": "losses not charged",
    "fd": "failures dropped",
    "is": "set where the next attempt is to be alone in its process",
    "ll": "log lines ever written",
    "lb": "bytes of the log lines that are kept",
    "sl": "chunks of its stream ever written",
    "sb": "bytes of the chunks that are kept",
    "sn": "lease of the last attempt that wrote chunks, and how many it has, msgpack",
    "tp": "traceparent, where the trace is recorded",
    "hk": "codes of the ends that a hook follows, only where there are any",
    "hr": "run of the hook that followed its last end",
}

# Fields of a cron's hash.
CRON_FIELDS = {
    "ns": "namespace",
    "wf": "workflow",
    "nm": "its name",
    "b": "the CronSpec",
    "x": "expression and zone",
    "ov": "what a tick does while the run before is under way: skip, cancel, or nothing",
    "rv": "counts changes of what is above",
    "dc": "set where the workflow's definition declares it",
    "ps": "set while it rests",
    "c": "made, ms",
    "a": "nothing up to here is to be fired any more, ms",
    "mk": "how many missed ticks of this outage were made up for",
    "lt": "last tick that was run, ms",
    "lr": "run of that tick",
    "er": "why the last tick came to nothing, only then",
    "et": "when that was, ms",
}

# Fields of a worker's hash.
WORKER_FIELDS = {
    "ns": "namespace",
    "sid": "session id of the connection that counts",
    "disp": "incarnation of the dispatcher that has it",
    "group": "its group in the default pool",
    "slots": "its capacity in the default pool",
    "st": "a: takes work, d: drains, g: its stream is gone",
    "pl": "further groups, pool and slots in each, msgpack; only where there are any",
    "pz": "set while it is paused",
    "rs": "kept free for: group, flow, level, cost, msgpack; only meanwhile",
    "info": "what it says of itself, a Worker message",
    "since": "first connected, ms",
}

# Fields of a group's hash. Its workers have one pool in common, the part of its name behind the second `|`,
# "default" where there is none.
GROUP_FIELDS = {
    "ns": "namespace",
    "queues": "queues that its workers serve, msgpack; empty: all",
    "labels": "their labels, name → { text, number or false }, msgpack; only where there are any",
    "n": "claims so far",
    "at": "cursor of the flows that it has yet to know; only meanwhile",
    "as": "the group whose tasks are its own too; only a worker's own groups, named `ns|=worker`",
    "gone": "set where its worker is gone for good; only such groups",
    "rs": "its worker that is kept free for a costly run; only meanwhile",
}

# Fields of a token's hash.
TOKEN_FIELDS = {
    "h": "SHA-256 of its text, hexadecimal",
    "ns": "namespace",
    "name": "for people",
    "sc": "scopes, separated by spaces",
    "c": "created, ms",
    "x": "expires, ms; 0: never",
    "rv": "revoked, ms; only then",
}

# Members of the timer set, by what follows the first colon.
TIMER_KINDS = {
    "ready:RUN": "its delay or backoff ends",
    "start:RUN": "it was to have started by now",
    "stop:RUN:LEASE": "the worker was to have stopped it by now",
    "kids:RUN": "its children are to be cancelled",
    "join:GROUP": "it has flows yet to know",
    "crowd:KEY": "the oldest that contend for it are to be cancelled",
    "open:GATE": "lanes that are parked there are to come back: of a rate limit, at its window's end",
    "crons:": "the first cron is due",
    "hooks:": "runs have ended whose hooks are to be started",
    "room:GROUP": "a run that is too costly for its free workers has waited for long",
}

_PATTERNS = {f.name: f.pattern for f in FAMILIES}
_PARAMETERS = {f.name: [p.split("}")[0] for p in f.pattern.split("{")[1:]] for f in FAMILIES}


def prefix(shard: int) -> str:
    """What all keys of a shard begin with."""
    return f"wl{{{shard}}}:"


class Keys:
    """The keys of one shard that Python reads or blocks on."""

    def __init__(self, shard: int) -> None:
        self.prefix = prefix(shard)

    def of(self, family: str, **parts: str | int) -> str:
        """One key. Raises KeyError for a family or a part that isn't in the table."""
        return self.prefix + _PATTERNS[family].format(**parts)

    def run(self, run_id: str) -> str:
        """The hash of a run."""
        return f"{self.prefix}r:{run_id}"


def lua_key(family: str, parts: Sequence[str]) -> str:
    """One key as Lua makes it, of expressions for its parts.

    Raises KeyError for a family that isn't in the table, ValueError for too many parts or too few.
    """
    spelled = {name: f"' .. ({part}) .. '" for name, part in zip(_PARAMETERS[family], parts, strict=True)}
    return f"(P .. '{_PATTERNS[family].format(**spelled)}')".replace(" .. '')", ")")


def to_lua() -> str:
    """The text of `lua/keys.lua`."""
    codes = [f"{phase.name} = '{phase.value}'" for phase in Phase]
    terminal = ", ".join(f"{phase.value} = true" for phase in Phase if phase.terminal)
    bounds = {
        "LOG_LINES": limits.MAX_LOG_LINES_PER_RUN,
        "LOG_BYTES": limits.MAX_LOG_BYTES_PER_RUN,
        "CHUNKS": limits.MAX_CHUNKS_PER_RUN,
        "STREAM_BYTES": limits.MAX_STREAM_BYTES_PER_RUN,
        "FAILURES": limits.MAX_FAILURES_PER_RUN,
        "CRASHES": limits.MAX_CRASHES,
        "LOSSES": limits.MAX_LOSSES,
        "STOP_GRACE": limits.STOP_GRACE_MS,
    }
    return "\n".join(
        [
            "-- Generated by `python -m windlass_core.store.keys`; edit keys.py and phase.py instead.",
            "-- A K with a family of keys.py behind it is a key of that family: linking puts it in where it stands.",
            "local P = KEYS[1]",
            *_lua_table("PHASE", [*codes, f"TERMINAL = {{ {terminal} }}"]),
            *_lua_table("LIMIT", [f"{name} = {bound}" for name, bound in bounds.items()]),
            "",
        ]
    )


def _lua_table(name: str, entries: list[str]) -> list[str]:
    return [f"local {name} = {{", *(f"  {entry}," for entry in entries), "}"]


if __name__ == "__main__":
    Path(__file__).with_name("lua").joinpath("keys.lua").write_text(to_lua())
