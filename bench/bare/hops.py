"""Owns the bare path's keys and scripts: one per hop."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

QUEUE, INBOX, OUTBOX = "queue", "inbox", "outbox"
# Elements per blocking pop.
POP = 600

# ARGV: run id, spec, …
SUBMIT = """
local ids = {}
for i = 1, #ARGV, 2 do
  redis.call('HSET', 'r:' .. ARGV[i], 'spec', ARGV[i + 1], 'phase', 'ready')
  ids[#ids + 1] = ARGV[i]
end
redis.call('RPUSH', 'queue', unpack(ids))
"""

# ARGV: run id, lease, …
ASSIGN = """
local entries = {}
for i = 1, #ARGV, 2 do
  local key = 'r:' .. ARGV[i]
  local spec = redis.call('HGET', key, 'spec')
  redis.call('HSET', key, 'phase', 'leased', 'lease', ARGV[i + 1])
  entries[#entries + 1] = ARGV[i]
  entries[#entries + 1] = ARGV[i + 1]
  entries[#entries + 1] = spec
end
redis.call('RPUSH', 'inbox', unpack(entries))
"""

# ARGV: run id, lease, output, …
COMPLETE = """
local entries = {}
for i = 1, #ARGV, 3 do
  local key = 'r:' .. ARGV[i]
  if redis.call('HGET', key, 'lease') == ARGV[i + 1] then
    redis.call('HSET', key, 'phase', 'terminal', 'output', ARGV[i + 2])
    entries[#entries + 1] = ARGV[i]
    entries[#entries + 1] = ARGV[i + 2]
  end
end
redis.call('RPUSH', 'outbox', unpack(entries))
"""


def connect(url: str) -> Redis:
    """A client without a socket timeout, which would end blocking pops."""
    return Redis.from_url(url, socket_timeout=None)


async def pop(store: Redis, key: str) -> list[bytes]:
    """All that has gathered under the key, POP elements at the most; waits for the first."""
    popped: Any = await store.blmpop(0, 1, key, direction="LEFT", count=POP)
    elements: list[bytes] = popped[1]
    return elements
