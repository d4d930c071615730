#!lua flags=allow-oom
-- Purpose: deletes runs that ended longer ago than they are kept.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { retention ms, how many at the most }
-- Returns: msgpack: { deleted, more (bool) }
-- Invariants: only ended runs, by their last end; all that belongs to a run goes with it, and a flow
--            with its last run.
-- Cost:    O(log n) per run, O(groups) per flow that goes
--!include keys
--!include time
--!include lanes
--!include queueing
--!include demand
--!include flows
--!include idempotency
--!include hooks
--!include removing
local retention, most = unpack(cmsgpack.unpack(ARGV[1]))
local passed, deleted = 0, 0
for _, entry in ipairs(call('LRANGE', K.done(), 0, most - 1)) do
  local ended, run = string.match(entry, '^(%d+) (.*)$')
  if tonumber(ended) > now - retention then break end
  passed = passed + 1
  local flow, parent, last_end, key, until_ended = unpack(call('HMGET', K.run(run), 'f', 'pa', 'd', 'ik', 'ic'))
  -- One that was replayed has a later end, or none yet.
  if flow and last_end == ended then
    -- A key that has a window counts as long as that.
    remove(run, flow, parent, until_ended and key)
    deleted = deleted + 1
  end
end
if passed > 0 then call('LTRIM', K.done(), passed, -1) end
count_gathered()
settle_hooks()
return cmsgpack.pack({ deleted, passed == most })
