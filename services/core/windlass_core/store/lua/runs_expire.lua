#!lua flags=allow-oom
-- Purpose: deletes runs that ended longer ago than they are kept.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { retention ms, how many at the most }
-- Returns: msgpack: { deleted, more (bool) }
-- Invariants: only ended runs; all that belongs to a run goes with it.
-- Cost:    O(log n) per run
--!include keys
--!include time
--!include lanes
local retention, most = unpack(cmsgpack.unpack(ARGV[1]))
local deleted = 0
while deleted < most do
  local head = call('LINDEX', K.done(), 0)
  if not head then break end
  local ended, run = string.match(head, '^(%d+) (.*)$')
  if tonumber(ended) > now - retention then break end
  call('LPOP', K.done())
  local flow, parent = unpack(call('HMGET', K.run(run), 'f', 'pa'))
  if flow then
    local namespace = namespace_of(flow)
    call('ZREM', K.runs_by_time(namespace), run)
    call('ZREM', K.failed_by_time(namespace), run)
    call('DEL', K.run(run), K.failures(run), K.waiters(run), K.followers(run), K.children(run), K.log(run))
    if parent then call('SREM', K.children(parent), run) end
    deleted = deleted + 1
  end
end
return cmsgpack.pack({ deleted, deleted == most })
