#!lua flags=allow-oom
-- Purpose: deletes runs that ended longer ago than they are kept.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { retention ms, how many at the most }
-- Returns: msgpack: { deleted, more (bool) }
-- Invariants: only ended runs; all that belongs to a run goes with it, and a flow with its last run.
-- Cost:    O(log n) per run, O(groups) per flow that goes
--!include keys
--!include time
--!include lanes
--!include flows
local retention, most = unpack(cmsgpack.unpack(ARGV[1]))
local passed, deleted = 0, 0
for _, entry in ipairs(call('LRANGE', K.done(), 0, most - 1)) do
  local ended, run = string.match(entry, '^(%d+) (.*)$')
  if tonumber(ended) > now - retention then break end
  passed = passed + 1
  local flow, parent = unpack(call('HMGET', K.run(run), 'f', 'pa'))
  if flow then
    local namespace = namespace_of(flow)
    call('ZREM', K.runs_by_time(namespace), run)
    call('ZREM', K.failed_by_time(namespace), run)
    -- Of many children the server frees the memory later.
    call('UNLINK', K.run(run), K.failures(run), K.waiters(run), K.followers(run), K.children(run), K.log(run))
    if parent then call('SREM', K.children(parent), run) end
    gather_kept(flow, -1)
    deleted = deleted + 1
  end
end
if passed > 0 then call('LTRIM', K.done(), passed, -1) end
count_gathered()
return cmsgpack.pack({ deleted, passed == most })
